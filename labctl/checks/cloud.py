"""A lab's cloud as checks use it: who does what where, connections that are made once a run, and what was made."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from labctl.checks.canary import Canary
from labctl.checks.made import Made
from labctl.cloud.cloud import Cloud as Planned
from labctl.guest import Guest

if TYPE_CHECKING:
    from labctl.cloud.connect import Login
    from labctl.cloud.http import Dialer

_IMPORTING = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Service:
    """An API.

    Attributes:
        type: in the catalogue.
        role: of the nodes that have it.
        port: where it listens.
    """

    name: str
    type: str
    role: str
    port: int


SERVICES = {
    each.name: each
    for each in (
        Service(name="keystone", type="identity", role="keystone", port=5000),
        Service(name="glance", type="image", role="glance", port=9292),
        Service(name="placement", type="placement", role="placement", port=8778),
        Service(name="nova", type="compute", role="nova", port=8774),
        Service(name="neutron", type="network", role="neutron", port=9696),
        Service(name="cinder", type="block-storage", role="cinder", port=8776),
        Service(name="heat", type="orchestration", role="heat", port=8004),
        Service(name="heat-cfn", type="cloudformation", role="heat-cfn", port=8000),
        Service(name="swift", type="object-store", role="swift", port=8080),
        Service(name="ceph-rgw", type="object-store", role="ceph-rgw", port=8080),
        Service(name="gnocchi", type="metric", role="gnocchi", port=8041),
        Service(name="aodh", type="alarming", role="aodh", port=8042),
        Service(name="designate", type="dns", role="designate", port=9001),
        Service(name="ec2", type="ec2", role="ec2", port=8773),
    )
}


@dataclass(kw_only=True, eq=False)
class Cloud:
    """One run's view of a lab's cloud.

    Attributes:
        planned: the cloud as its plan gives it: nodes, addresses, names.
        seconds: that an answer may take.
        login: returns how a user logs in: admin or demo.
        instance: logs in to an instance at an address of the lab as its user, with the injected key and a pinned host
            key.
        public_key: of that key.
        made: what checks made and have not removed.
        canary: returns the lab's canary; None where it has none.
        remember: makes a canary the lab's.
        bench: what several checks of a run use: a server, its address, a way in.
    """

    planned: Planned
    seconds: float
    dialer: Dialer
    login: Callable[[str], Login]
    instance: Callable[[str, str], Guest]
    public_key: str
    made: Made
    canary: Callable[[], Canary | None]
    remember: Callable[[Canary], None]
    bench: dict[str, Any] = field(default_factory=dict)
    _kept: dict[str, Any] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        """Import openstacksdk: its modules need each other, and several threads that do it at once see half of them."""
        with _IMPORTING:
            import labctl.cloud.connect
            import labctl.cloud.trouble  # noqa: F401 - checks import it again, each for itself

    def renewed(self) -> Self:
        """Return the same cloud for another run: nobody is logged in yet."""
        return replace(self, bench={}, _kept={})

    @property
    def demo(self) -> Any:
        """An ordinary member's connection."""
        return self._connection("demo", self.login)

    @property
    def admin(self) -> Any:
        """The administrator's connection."""
        return self._connection("admin", self.login)

    @property
    def inside(self) -> Any:
        """The administrator's connection in demo's project; see `Made.grant`."""
        return self._connection("inside", lambda _: replace(self.login("admin"), project=self.login("demo").project))

    def fresh(self, login: Login) -> Any:
        """Return a connection that nobody else uses."""
        from labctl.cloud.connect import connect

        return connect(self.dialer, login, timeout=self.seconds)

    def internal(self) -> Any:
        """Return a new connection of demo that logs in at Keystone's internal address."""
        return self.fresh(replace(self.login("demo"), auth_url=self.planned.auth_url()))

    def http(self) -> Any:
        """Return a new session for pages and doors."""
        from labctl.cloud.http import session

        return session(self.dialer)

    def api(self, service: str) -> Any:
        """Return demo's way to an API that openstacksdk does not know: its requests take paths."""
        from labctl.cloud.connect import requests_to

        return requests_to(SERVICES[service].type, self.demo, region=self.planned.spec.region)

    def nodes(self, role: str) -> list[str]:
        """Return the nodes that do what a role is for."""
        return [node.name for node in self.planned.lab.doing(role)]

    def node(self, role: str) -> str:
        """Return the first node that does what a role is for; empty where none does."""
        return next(iter(self.nodes(role)), "")

    def address(self, role: str) -> str:
        """Return the address of a role between the services."""
        return self.planned.internal(role)

    def public(self, role: str) -> str:
        """Return the public name of a role's node, or its address where it has none."""
        return self.planned.public(role)

    def _connection(self, name: str, login: Callable[[str], Login]) -> Any:
        with self._lock:
            if name not in self._kept:
                self._kept[name] = self.fresh(login(name))
            return self._kept[name]
