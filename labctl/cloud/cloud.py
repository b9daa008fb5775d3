"""A lab's cloud as its plan and its secrets give it: who does what, at which address, with which credentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from netaddr import IPAddress

from labctl.errors import InputError
from labctl.plan.model import LabPlan, NodePlan
from labctl.quoting import url
from labctl.secret import Secret
from labctl.spec.openstack import OpenStack


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """One lab's cloud.

    Attributes:
        lab: its plan.
        spec: its settings.
        secrets: passwords and keys by name.
        slow: whether nodes are emulated; services then get longer times.
        nested: virt_type of each compute node, kvm or qemu.
        known_hosts: the nodes' public host keys, as OpenSSH's file of that name has them; empty before there are any.
    """

    lab: LabPlan
    spec: OpenStack
    secrets: Mapping[str, str] = field(repr=False)
    slow: bool
    nested: Mapping[str, str]
    known_hosts: str = ""

    @classmethod
    def of(
        cls,
        lab: LabPlan,
        secrets: Mapping[str, str],
        *,
        slow: bool,
        nested: Mapping[str, str],
        known_hosts: str = "",
    ) -> Self:
        """Return the cloud of a lab.

        Raises:
            InputError: its topology has none.
        """
        if lab.openstack is None:
            raise InputError(
                f"topology {lab.topology} has no cloud", remedy='Give it a section "openstack" and its nodes roles.'
            )
        return cls(lab=lab, spec=lab.openstack, secrets=secrets, slow=slow, nested=nested, known_hosts=known_hosts)

    def nodes(self, role: str) -> list[str]:
        """Return the nodes that have a role, in the topology's order."""
        return [node.name for node in self.lab.nodes if role in node.roles]

    def node(self, role: str) -> str:
        """Return the first node that has a role.

        Raises:
            InputError: none has.
        """
        if found := self.nodes(role):
            return found[0]
        raise InputError(
            f"no node of topology {self.lab.topology} has the role {role}", remedy="Add it to a node's roles."
        )

    def near(self, role: str, node: str) -> str:
        """Return the node itself where it has the role, else the first one that has."""
        return node if node in self.nodes(role) else self.node(role)

    def clock(self) -> str:
        """Return the node whose clock the others follow: the one named, or the first of the services'.

        Raises:
            InputError: none has.
        """
        if self.spec.clock:
            return self.spec.clock
        inside = (node.name for node in self.lab.nodes if self._address(node.name, self.spec.internal))
        if found := next(inside, None):
            return found
        raise InputError(f"no node of topology {self.lab.topology} has an address on network {self.spec.internal}")

    def plan(self, node: str) -> NodePlan:
        """Return a node's plan."""
        return self.lab.node(node)

    def address(self, node: str) -> str:
        """Return a node's address between the services.

        Raises:
            InputError: it has none.
        """
        if found := self._address(node, self.spec.internal):
            return str(found)
        raise InputError(
            f"{node} has a role, but no address on network {self.spec.internal}", remedy="Give it a card there."
        )

    def internal(self, role: str) -> str:
        """Return the address of a role between the services."""
        return self.address(self.node(role))

    def public(self, role: str) -> str:
        """Return the public name of a role's node; its internal address where it is not on the public network."""
        node = self.node(role)
        address = self._address(node, self.spec.public)
        names = [name for entry in self.lab.hosts if entry.address == address for name in entry.names]
        return names[0] if names else str(address or self.address(node))

    def card(self, node: str, network: str) -> str | None:
        """Return the name of a node's network card on a network, None when it has none."""
        return next((nic.name for nic in self.plan(node).nics if nic.network == network), None)

    def secret(self, name: str) -> Secret:
        """Return a secret; people see its name."""
        return Secret(self.secrets[name], f"<{name}>")

    def auth_url(self) -> str:
        """Return Keystone's address between the services."""
        return f"http://{self.internal('keystone')}:5000/v3"

    def database_url(self, database: str) -> Secret:
        """Return the URL of a database for SQLAlchemy; its user bears the service's name."""
        user = database.split("_")[0]
        password = self.secret(f"{user}-db").map(url)
        return f"mysql+pymysql://{user}:" + password + f"@{self.internal('mariadb')}/{database}"

    def transport_url(self) -> Secret:
        """Return the URL of the message queue."""
        return "rabbit://openstack:" + self.secret("rabbitmq").map(url) + f"@{self.internal('rabbitmq')}:5672/"

    def credentials(self, user: str) -> dict[str, object]:
        """Return the options with which a service logs in to Keystone."""
        return {
            "auth_type": "password",
            "auth_url": self.auth_url(),
            "username": user,
            "password": self.secret(user),
            "project_name": "service",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
            "region_name": self.spec.region,
        }

    def seconds(self, usual: int, slow: int) -> int:
        """Choose a service's interval or time limit: the usual one, or that of emulated nodes."""
        return slow if self.slow else usual

    def _address(self, node: str, network: str) -> IPAddress | None:
        own = (nic.address for nic in self.plan(node).nics if nic.network == network)
        return next((address for address in own if address is not None), None)
