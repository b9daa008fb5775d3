"""Plans a whole lab from its topology and its identity."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from itertools import count
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from labctl.errors import CapacityError
from labctl.plan.model import (
    DiskPlan,
    HostEntry,
    Identity,
    LabPlan,
    LeasePlan,
    NetworkPlan,
    NicPlan,
    NodePlan,
)

if TYPE_CHECKING:
    from netaddr import IPAddress, IPNetwork

    from labctl.spec.topology import Network, Node, Topology

BARE, INSTALLED = "bare", "installed"
"""The stages of a lab: nodes with nothing on them yet, or its cloud runs."""

AFTER = "after:"
"""How the name of a stage begins at which a bare lab stands after a chapter: after:glance."""

GATEWAY = 1
"""The host's place in a management subnet."""

FIRST_NODE = 10
"""The first node's place in a management subnet; the others follow in the topology's order."""


def plan(
    topology: Topology, identity: Identity, *, stage: str = BARE, golden: str = "", bare: Collection[str] = ()
) -> LabPlan:
    """Compute everything that makes this team's lab, the same for the same arguments.

    Args:
        topology: what to build.
        identity: the lab's own UUID, team, owner and management subnet.
        stage: what the nodes hold, bare or installed.
        golden: ID of the golden set whose disks the nodes' disks stand on; empty for base images.
        bare: nodes that stand on base images all the same, at stage bare.

    Raises:
        CapacityError: the management subnet has fewer addresses than the topology has nodes.
    """
    mgmt = _mgmt_addresses(topology, identity.mgmt)
    macs = _macs(topology)
    images = {
        name: _image(topology, name, BARE, "") if name in bare else _image(topology, name, stage, golden)
        for name in topology.nodes
    }
    nodes = tuple(_node(topology, name, identity, mgmt[name], macs, images[name]) for name in topology.nodes)
    return LabPlan(
        identity=identity,
        topology=topology.name,
        digest=topology.digest,
        stage=stage,
        domain=topology.domain,
        networks=tuple(_network(topology, key, identity, nodes) for key in topology.networks),
        nodes=nodes,
        hosts=tuple(_hosts(topology)),
        password=topology.password,
        openstack=topology.openstack,
    )


def stage_name(stage: str, chapter: str) -> str:
    """Return what people call a stage: after:glance for a bare lab whose cloud is installed up to that chapter."""
    return f"{AFTER}{chapter}" if chapter else stage


def stage_of(name: str) -> tuple[str, str]:
    """Read what `stage_name` writes: stage and chapter."""
    return (BARE, name.removeprefix(AFTER)) if name.startswith(AFTER) else (name, "")


def network_uuid(lab: UUID, key: str) -> UUID:
    """Return the UUID of a lab's network."""
    return uuid5(lab, f"network/{key}")


def node_uuid(lab: UUID, name: str) -> UUID:
    """Return the UUID of a lab's node."""
    return uuid5(lab, f"node/{name}")


def _network(topology: Topology, key: str, identity: Identity, nodes: tuple[NodePlan, ...]) -> NetworkPlan:
    spec = topology.networks[key]
    nat = spec.kind == "nat"
    leases = (
        LeasePlan(mac=nic.mac, address=nic.address, hostname=node.name)
        for node in nodes
        for nic in node.nics
        if nat and nic.network == key and nic.address is not None
    )
    return NetworkPlan(
        key=key,
        name=f"{identity.stem}-{key}",
        uuid=network_uuid(identity.lab, key),
        # Linux allows 15 characters; team and network names may be longer, so the name is a hash.
        bridge="lab" + _hash(f"{identity.lab}/bridge/{key}").hex()[:10],
        mac=_free_mac(f"{identity.lab}/bridge/{key}/mac", {nic.mac for node in nodes for nic in node.nics}),
        nat=nat,
        subnet=identity.mgmt if nat else spec.subnet,
        gateway=identity.mgmt[GATEWAY] if nat else None,
        leases=tuple(leases),
        title=f"{identity.team} · {key} ({topology.name})",
        description=_describe(spec, topology, identity, key),
    )


def _describe(spec: Network, topology: Topology, identity: Identity, key: str) -> str:
    if spec.kind == "nat":
        what = f"NAT and DHCP on {identity.mgmt}"
    else:
        what = f"isolated, {spec.subnet}" if spec.subnet else "isolated, left unconfigured"
    text = f"Network {key} of the {topology.name} lab of {identity.team}: {what}."
    return f"{text} {spec.description}".rstrip()


def _node(
    topology: Topology, name: str, identity: Identity, mgmt: IPAddress, macs: dict[tuple[str, int], str], image: str
) -> NodePlan:
    spec = topology.nodes[name]
    generation = identity.generations.get(name, 0)
    domain = f"{identity.stem}-{name}"
    return NodePlan(
        name=name,
        team=identity.team,
        domain=domain,
        uuid=node_uuid(identity.lab, name),
        generation=generation,
        machine_id=_random_like(f"{identity.lab}/{name}/{generation}/machine-id").hex,
        instance_id=str(_random_like(f"{identity.lab}/{name}/{generation}/instance-id")),
        image=image,
        vcpus=spec.vcpus,
        memory=spec.memory,
        nics=tuple(_nics(topology, name, mgmt, macs)),
        disks=tuple(_disks(spec, domain, image, golden="/" in image)),
        seed=f"{domain}-seed.iso",
        console=f"{domain}-console.log",
        title=f"{identity.team} · {name} ({topology.name})",
        description=f"Node {name} of the {topology.name} lab of {identity.team}. {spec.description}".rstrip(),
        roles=spec.roles,
    )


def _image(topology: Topology, name: str, stage: str, golden: str) -> str:
    """Return what a node's system disk stands on: an image, or SET/NODE for a disk of a golden set."""
    if golden:
        return f"{golden}/{name}"
    cloud = topology.openstack
    return cloud.image if stage == INSTALLED and cloud is not None else topology.nodes[name].image


def _nics(topology: Topology, name: str, mgmt: IPAddress, macs: dict[tuple[str, int], str]) -> Iterator[NicPlan]:
    for position, nic in enumerate(topology.nodes[name].nics):
        network = topology.networks[nic.network]
        nat = network.kind == "nat"
        yield NicPlan(
            name=f"eth{position}",
            network=nic.network,
            mac=macs[name, position],
            address=mgmt if nat else nic.address,
            prefix=network.subnet.prefixlen if network.subnet is not None and nic.address is not None else None,
            dhcp=nat,
        )


def _disks(spec: Node, domain: str, image: str, *, golden: bool) -> Iterator[DiskPlan]:
    yield DiskPlan(volume=f"{domain}.qcow2", device="vda", capacity=spec.disk, image=image)
    for position, disk in enumerate(spec.disks, start=1):
        device = f"vd{chr(ord('a') + position)}"
        base = f"{image}/{device}" if golden else None
        yield DiskPlan(volume=f"{domain}-{device}.qcow2", device=device, capacity=disk.size, image=base)


def _hosts(topology: Topology) -> Iterator[HostEntry]:
    for key, network in topology.networks.items():
        for name, node in topology.nodes.items():
            address = next((nic.address for nic in node.nics if nic.network == key and nic.address is not None), None)
            if address is not None and network.names != "none":
                known_as = name if network.names == "short" else f"{name}.{topology.domain}"
                yield HostEntry(address=address, names=(known_as,))


def _mgmt_addresses(topology: Topology, subnet: IPNetwork) -> dict[str, IPAddress]:
    """Give each node its address in the management subnet, in the topology's order."""
    room = subnet.size - 1 - FIRST_NODE
    if len(topology.nodes) > room:
        raise CapacityError(
            f"the management subnet {subnet} has {max(room, 0)} addresses for nodes, "
            f"topology {topology.name} has {len(topology.nodes)} nodes",
            remedy="Set a shorter mgmt.prefix in the host file, 24 for instance.",
        )
    return {name: subnet[FIRST_NODE + position] for position, name in enumerate(topology.nodes)}


def _macs(topology: Topology) -> dict[tuple[str, int], str]:
    """Give every NIC a MAC that depends on topology, node and position alone, unique within the topology.

    A memory image cannot be restored with other MACs, so those of one team's node must be those of every team's.
    """
    macs: dict[tuple[str, int], str] = {}
    taken: set[str] = set()
    for name, node in topology.nodes.items():
        for position in range(len(node.nics)):
            mac = _free_mac(f"{topology.name}/{name}/{position}", taken)
            taken.add(mac)
            macs[name, position] = mac
    return macs


def _free_mac(seed: str, taken: set[str]) -> str:
    """Derive an address in QEMU's range, 52:54:00, that is none of those taken."""
    candidates = (_hash(f"{seed}#{attempt}" if attempt else seed)[:3] for attempt in count())
    macs = (":".join(["52", "54", "00", *(f"{byte:02x}" for byte in candidate)]) for candidate in candidates)
    return next(mac for mac in macs if mac not in taken)


def _random_like(seed: str) -> UUID:
    """Derive a UUID of the shape of a random one (version 4), as machine-id(5) wants it."""
    return UUID(bytes=_hash(seed)[:16], version=4)


def _hash(seed: str) -> bytes:
    return hashlib.sha256(seed.encode()).digest()
