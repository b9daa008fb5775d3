"""What a lab is made of, before anything exists: frozen data, computed without any I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from netaddr import IPAddress, IPNetwork

from labctl.spec.duties import duties

if TYPE_CHECKING:
    from labctl.spec.openstack import OpenStack


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What makes one lab different from every other lab of its topology; decided once and kept in the lab's state.

    Attributes:
        team: the team's name, for instance team01.
        lab: drawn at random when the lab is first created; every UUID of the lab derives from it.
        owner: this installation of labctl; objects of another owner are never touched.
        mgmt: the lab's own subnet of the management network.
        generations: how often each node was made anew; a node that is not named has generation 0.
        label: how the names of its objects begin, where that is not the team's name.
    """

    team: str
    lab: UUID
    owner: UUID
    mgmt: IPNetwork
    generations: dict[str, int] = field(default_factory=dict)
    label: str = ""

    @property
    def stem(self) -> str:
        """How the names of its objects begin."""
        return self.label or self.team


@dataclass(frozen=True, kw_only=True)
class NetworkPlan:
    """One libvirt network.

    Attributes:
        key: its name in the topology (mgmt, internal, ...).
        name: its name in libvirt (team01-mgmt).
        bridge: the bridge device, at most 15 characters, unique per lab and network.
        mac: the bridge's own address.
        nat: whether the host routes and serves DHCP and DNS; an isolated network has no address on the host.
        subnet: None where the topology leaves the network unconfigured.
        gateway: the host's address; None on an isolated network.
        leases: DHCP reservations, one per NIC on this network; empty on an isolated network.
    """

    key: str
    name: str
    uuid: UUID
    bridge: str
    mac: str
    nat: bool
    subnet: IPNetwork | None
    gateway: IPAddress | None
    leases: tuple[LeasePlan, ...]
    title: str
    description: str


@dataclass(frozen=True, kw_only=True)
class LeasePlan:
    """A DHCP reservation."""

    mac: str
    address: IPAddress
    hostname: str


@dataclass(frozen=True, kw_only=True)
class NicPlan:
    """One network card; its position in the node gives its name, eth0 first.

    Attributes:
        network: key of the network it is plugged into.
        mac: derived from topology, node and position, the same for every team.
        address: None when DHCP or nobody configures it.
        prefix: length of the subnet's mask, for a static address.
        dhcp: whether the node asks for its address.
    """

    name: str
    network: str
    mac: str
    address: IPAddress | None
    prefix: int | None
    dhcp: bool


@dataclass(frozen=True, kw_only=True)
class DiskPlan:
    """One disk of a node, a qcow2 volume in the pool.

    Attributes:
        volume: its volume name (team01-db-node.qcow2).
        device: the letter the guest sees (vda, vdb, ...).
        capacity: size in bytes.
        image: the base image it is an overlay of, None for an empty data disk; of a golden set SET/NODE, and for data
            disks SET/NODE/DEVICE, which is empty where the set has none.
    """

    volume: str
    device: str
    capacity: int
    image: str | None


@dataclass(frozen=True, kw_only=True)
class NodePlan:
    """One virtual machine.

    Attributes:
        name: its name in the tutorial (db-node); the guest's host name.
        team: the team whose node it is.
        domain: its name in libvirt (team01-db-node).
        uuid: derived from the lab and the node; the same after a reset.
        machine_id: 32 hexadecimal digits, new with every generation.
        instance_id: cloud-init's, new with every generation.
        memory: MiB.
        disks: the system disk first.
        seed: volume name of its seed ISO.
        console: volume name of the log of its serial console.
        roles: what it does in the cloud.
    """

    name: str
    team: str
    domain: str
    uuid: UUID
    generation: int
    machine_id: str
    instance_id: str
    image: str
    vcpus: int
    memory: int
    nics: tuple[NicPlan, ...]
    disks: tuple[DiskPlan, ...]
    seed: str
    console: str
    title: str
    description: str
    roles: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """What people call it among the nodes of all teams: team01-db-node."""
        return f"{self.team}-{self.name}"

    @property
    def volumes(self) -> set[str]:
        """The names of its volumes: its disks, its seed and the log of its console."""
        return {disk.volume for disk in self.disks} | {self.seed, self.console}

    @property
    def mgmt(self) -> IPAddress | None:
        """The address by which labctl reaches the node: that of its DHCP NIC."""
        return next((nic.address for nic in self.nics if nic.dhcp), None)


@dataclass(frozen=True, kw_only=True)
class HostEntry:
    """One line of /etc/hosts."""

    address: IPAddress
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LabPlan:
    """A whole lab: what `create` will make and `status` compares with.

    Attributes:
        digest: hash of the topology, hexadecimal; a lab of another digest was made from another topology.
        hosts: the names that every node of the lab knows.
        password: root's password in every node; None where only keys log in.
        openstack: the cloud of the lab; None where it has none.
    """

    identity: Identity
    topology: str
    digest: str
    stage: str
    domain: str
    networks: tuple[NetworkPlan, ...]
    nodes: tuple[NodePlan, ...]
    hosts: tuple[HostEntry, ...]
    password: str | None = None
    openstack: OpenStack | None = None

    @property
    def team(self) -> str:
        """The team whose lab this is."""
        return self.identity.team

    def network(self, key: str) -> NetworkPlan:
        """Return the network of that key; KeyError when the topology has none."""
        return {network.key: network for network in self.networks}[key]

    def duties(self, node: str) -> tuple[str, ...]:
        """Return what a node does: its roles, and what one of them does because no node has the role for it."""
        return duties({each.name: each.roles for each in self.nodes})[node]

    def doing(self, duty: str) -> list[NodePlan]:
        """Return the nodes that do what a role is for, whether by this role or by another, in the topology's order."""
        does = duties({each.name: each.roles for each in self.nodes})
        return [each for each in self.nodes if duty in does[each.name]]

    def spare(self, node: str) -> list[str]:
        """Return the letters of a node's data disks that no volume group takes."""
        letters = [disk.device for disk in self.node(node).disks[1:]]
        return letters[1:] if "cinder-volume" in self.duties(node) else letters

    def node(self, name: str) -> NodePlan:
        """Return the node of that name; KeyError when the topology has none."""
        return {node.name: node for node in self.nodes}[name]
