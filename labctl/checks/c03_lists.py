"""C03: a list from each service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labctl.checks.log import Log, Wrong, cloud_check

_TIMES = (10, 3)  # how often the list is asked for, on KVM and emulated
NONSENSE = "nonsense"
"""A token that nobody ever gave out."""


@dataclass(frozen=True, kw_only=True)
class _List:
    """What a service is asked for.

    Attributes:
        what: its name, for people.
        ask: asks for it by demo's connection.
        proxy: attribute of a connection; the service.
        path: of one of the lists, below the endpoint.
    """

    what: str
    ask: Callable[[Any], Any]
    proxy: str
    path: str


_LISTS = {
    "glance": _List(
        what="images",
        ask=lambda demo: demo.image.images(limit=1, paginated=False),
        proxy="image",
        path="/v2/images",
    ),
    "nova": _List(
        what="servers and flavors",
        ask=lambda demo: [*demo.compute.flavors(), *demo.compute.servers(details=False)],
        proxy="compute",
        path="/servers",
    ),
    "neutron": _List(what="networks", ask=lambda demo: demo.network.networks(), proxy="network", path="/v2.0/networks"),
    "cinder": _List(
        what="volumes",
        ask=lambda demo: demo.block_storage.volumes(details=False),
        proxy="block_storage",
        path="/volumes",
    ),
    "heat": _List(what="stacks", ask=lambda demo: demo.orchestration.stacks(), proxy="orchestration", path="/stacks"),
}


def _list(name: str, each: _List) -> None:
    @cloud_check(
        f"C03:{name}",
        f"{name} lists its {each.what}",
        exercises=f"{name}'s check of tokens, its database" + ("; engine and queue" if name == "heat" else ""),
        needs=(f"C02:{name}",),
        quick=True,
        limit=(20, 120),
        about=(
            f"Ask {name} for its {each.what} as demo, several times over: one worker or connection that is broken "
            "shows in some of the answers only. A nonsense token must be turned away."
        ),
    )
    def lists(log: Log) -> None:
        if not log.cloud.nodes(name):
            log.skip(f"no node has the role {name}")
        demo, node = log.cloud.demo, log.cloud.node(name)
        log.ask("list", lambda: list(each.ask(demo)), node=node, suspect=name)
        times = int(log.subject.scaled(*_TIMES))
        for number in range(2, times + 1):
            with log.step(f"list, {number} of {times}", node=node, suspect=name):
                log.again(lambda: list(each.ask(demo)), answers=False)
        _refused(log, name, getattr(demo, each.proxy).get_endpoint(), each.path)


def _refused(log: Log, name: str, endpoint: str, path: str) -> None:
    """See that a service turns a nonsense token away."""
    url = endpoint.rstrip("/").removesuffix(path.rpartition("/")[0]) + path
    with log.step("list with a nonsense token", node=log.cloud.node(name), suspect=name):
        answer = log.again(
            lambda: log.cloud.http().get(url, headers={"X-Auth-Token": NONSENSE}, timeout=log.cloud.seconds)
        )
        if answer.status_code != 401:
            raise Wrong(f"HTTP {answer.status_code} to a nonsense token, not 401")


for _name, _each in _LISTS.items():
    _list(_name, _each)


@cloud_check(
    "C03:placement",
    "placement lists its resource providers",
    exercises="Placement's check of tokens, its database",
    needs=("C02:placement",),
    quick=True,
    limit=(20, 120),
)
def placement(log: Log) -> None:
    """Ask Placement for its resource providers as admin. A nonsense token must be turned away."""
    if not log.cloud.nodes("placement"):
        log.skip("no node has the role placement")
    node, placement = log.cloud.node("placement"), log.cloud.admin.placement
    log.ask("list", lambda: list(placement.resource_providers()), node=node, suspect="placement")
    _refused(log, "placement", placement.get_endpoint(), "/resource_providers")


@cloud_check(
    "C03:detail",
    "nova lists servers in detail",
    exercises="Nova's requests to Neutron, if there is any server",
    needs=("C03:nova", "C03:neutron"),
    quick=True,
    limit=(20, 120),
)
def detail(log: Log) -> None:
    """Ask Nova for all that it knows about demo's servers; for their security groups it asks Neutron."""
    node = log.cloud.node("nova")
    if not node:
        log.skip("no node has the role nova")
    log.ask("list", lambda: list(log.cloud.demo.compute.servers()), node=node, suspect="nova: its way to neutron")
