"""What must hold between the parts of a topology: addresses in subnets, one card on the nat network, and so on."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from netaddr import IPAddress, IPRange
from pydantic import ValidationError

from labctl.spec.document import Location, Problem
from labctl.spec.problems import closest, place

if TYPE_CHECKING:
    from labctl.spec.openstack import OpenStack
    from labctl.spec.topology import Network, Nic, Topology


def check(topology: Topology, *, given: Any) -> list[Problem]:
    """Return everything that does not fit together.

    Args:
        topology: what is valid by itself.
        given: the whole content of the file.
    """
    written = given.get("networks") if isinstance(given, dict) else None
    networks = set(written) if isinstance(written, dict) else set()
    return [
        *_kinds(topology),
        *_naming(topology),
        *_subnets(topology),
        *_cards(topology, networks),
        *_addresses(topology),
        *_node_names(topology),
        *_cloud(topology),
    ]


def independent(found: Iterable[Problem], dropped: Sequence[Location], topology: Topology) -> list[Problem]:
    """Return the problems that cannot be the consequence of what was left out because it was not valid."""
    return [problem for problem in found if not _follows(problem.location, dropped, topology)]


def without(content: Any, error: ValidationError, dropped: list[Location]) -> Any:
    """Return a copy of the content without what the error names; None when nothing is left to look at.

    Args:
        content: what was validated; stays as it is.
        error: what validation raised.
        dropped: receives the places that were left out.
    """
    rest = copy.deepcopy(content)
    for item in error.errors(include_url=False):
        location = place(item)
        if location == ("name",) and isinstance(rest, dict):
            rest["name"] = "unnamed"
            continue
        if item["type"] == "missing":
            location = location[:-1]
        # Leaving out an item of a list would shift its neighbours: leave out the whole node.
        while location and isinstance(location[-1], int):
            location = location[:2]
        if not location or not isinstance(rest, dict):
            return None
        dropped.append(location)
        _remove(rest, location)
    return rest


def _remove(content: Any, location: Location) -> None:
    *around, last = location
    for part in around:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(content, dict):
        content.pop(last, None)


def _follows(location: Location, dropped: Sequence[Location], topology: Topology) -> bool:
    """Tell whether a problem may be the consequence of another one that is reported already."""
    if any(place[: len(location)] == location for place in dropped):
        return True
    match location:
        case ("networks", network, _):
            pass
        case ("nodes", str(name), "nics", int(position), *_):
            network = topology.nodes[name].nics[position].network
        case ("nodes", _, "roles"):
            return any(place[0] == "openstack" for place in dropped)
        case _:
            return False
    return any(place[:2] == ("networks", network) for place in dropped)


def _kinds(topology: Topology) -> Iterator[Problem]:
    nat = [name for name, network in topology.networks.items() if network.kind == "nat"]
    if not nat:
        yield Problem(("networks",), 'no network has "kind: nat"; labctl reaches the nodes by exactly one')
    for name in nat[1:]:
        yield Problem(("networks", name, "kind"), f'{nat[0]} is "nat" already; make this one "isolated"')
    for name in nat:
        if topology.networks[name].subnet is not None:
            text = "a nat network has no subnet here: each team leases its own; remove this line"
            yield Problem(("networks", name, "subnet"), text)


def _naming(topology: Topology) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for name, network in topology.networks.items():
        place = ("networks", name, "names")
        if network.names == "none":
            continue
        if network.kind == "nat":
            yield Problem(place, 'its addresses differ from team to team; use "names" on an isolated network')
        elif network.subnet is None:
            yield Problem(place, '"names" needs a subnet on this network')
        elif (other := first.setdefault(network.names, name)) != name:
            yield Problem(place, f'"names: {network.names}" is on {other} already; a name can have one address only')


def _subnets(topology: Topology) -> Iterator[Problem]:
    subnets = [(name, network.subnet) for name, network in topology.networks.items() if network.subnet is not None]
    for (first, one), (second, other) in combinations(subnets, 2):
        if one.first <= other.last and other.first <= one.last:
            yield Problem(("networks", second, "subnet"), f"{other} overlaps {first}'s subnet {one}")


def _cards(topology: Topology, networks: set[str]) -> Iterator[Problem]:
    for name, node in topology.nodes.items():
        place: Location = ("nodes", name, "nics")
        unknown = False
        for position, nic in enumerate(node.nics):
            if nic.network not in topology.networks and nic.network not in networks:
                unknown = True
                text = f'there is no network "{nic.network}"{closest(nic.network, topology.networks)}'
                yield Problem((*place, position, "network"), text)
        nat = [
            position
            for position, nic in enumerate(node.nics)
            if (network := topology.networks.get(nic.network)) is not None and network.kind == "nat"
        ]
        kinds = {network.kind for network in topology.networks.values()}
        if not nat and "nat" in kinds and not unknown and all(nic.network in topology.networks for nic in node.nics):
            yield Problem(place, f'no card is on "{topology.mgmt}"; labctl reaches a node by its card there')
        for position in nat[1:]:
            text = f'a second card on "{node.nics[position].network}"; a node has exactly one on the nat network'
            yield Problem((*place, position, "network"), text)


def _addresses(topology: Topology) -> Iterator[Problem]:
    owners: dict[tuple[str, Any], str] = {}
    for name, node in topology.nodes.items():
        for position, nic in enumerate(node.nics):
            network = topology.networks.get(nic.network)
            if network is None or nic.address is None:
                continue
            place: Location = ("nodes", name, "nics", position, "address")
            if text := _misplaced(nic, network):
                yield Problem(place, text)
            elif (owner := owners.setdefault((nic.network, nic.address), name)) and owner != name:
                yield Problem(place, f"{nic.address} is {owner}'s address on {nic.network} already")
            elif sum(other.address == nic.address for other in node.nics[:position]):
                yield Problem(place, f"{nic.address} is on another card of this node already")


def _misplaced(nic: Nic, network: Network) -> str:
    """Say why the address cannot be on this network; nothing when it can."""
    if network.kind == "nat":
        return f"{nic.network} gives addresses by DHCP, another for each team; remove the address"
    subnet = network.subnet
    if subnet is None or nic.address is None:
        return f"{nic.network} has no subnet; give it one or remove the address"
    first, last = subnet[1], subnet[-2]
    if nic.address not in subnet:
        return f"{nic.address} is not in {nic.network}'s subnet {subnet}; free to use are {first} to {last}"
    if nic.address in (subnet.network, subnet.broadcast):
        what = "network" if nic.address == subnet.network else "broadcast"
        return f"{nic.address} is the {what} address of {subnet}; free to use are {first} to {last}"
    return ""


def _node_names(topology: Topology) -> Iterator[Problem]:
    for name in topology.nodes:
        if name == "localhost":
            yield Problem(("nodes", name), "a node cannot be called localhost")
        stem, _, device = name.rpartition("-")
        if stem in topology.nodes and len(device) == 3 and device.startswith("vd"):
            text = f"the name is kept for the disk {device} of {stem}; choose another"
            yield Problem(("nodes", name), text)


def _cloud(topology: Topology) -> Iterator[Problem]:
    """Check the cloud's networks, and that there is a cloud where nodes have roles."""
    cloud = topology.openstack
    if cloud is None:
        for name, node in topology.nodes.items():
            if node.roles:
                yield Problem(("nodes", name, "roles"), 'roles need the section "openstack", which says how')
        return
    for key, wanted in (("internal", cloud.internal), ("public", cloud.public), ("private", cloud.private)):
        if wanted is not None and (text := _unfit(topology, key, wanted)):
            yield Problem(("openstack", key), text)
    if text := _uncarried(cloud):
        yield Problem(("openstack", "tunnel"), text)
    if cloud.clock is not None and (text := _no_clock(topology, cloud, cloud.clock)):
        yield Problem(("openstack", "clock"), text)
    yield from _floating(topology, cloud)


def _unfit(topology: Topology, key: str, wanted: str) -> str:
    """Say why a network cannot be the cloud's internal, public or private one; nothing when it can."""
    network = topology.networks.get(wanted)
    if network is None:
        return f'there is no network "{wanted}"{closest(wanted, topology.networks)}'
    if key == "private" and (network.subnet is not None or network.kind == "nat"):
        return f"{wanted} is in use by the nodes; take an isolated network without a subnet"
    if key != "private" and network.subnet is None:
        return f"{wanted} has no subnet, and the services need addresses on it"
    return ""


def _uncarried(cloud: OpenStack) -> str:
    """Say why the tenants' networks cannot be carried in the way that is wanted; nothing when they can."""
    if cloud.tunnel == "vlan" and cloud.private is None:
        return 'VLANs are on the network "private", and there is none; add one, or write vxlan or gre'
    if cloud.tunnel in ("vxlan", "gre") and cloud.private is not None:
        what = f"{cloud.tunnel} goes through {cloud.internal}, and {cloud.private} is for VLANs"
        return f"{what}; remove one of the two lines"
    return ""


def _no_clock(topology: Topology, cloud: OpenStack, node: str) -> str:
    """Say why others cannot follow a node's clock; nothing when they can."""
    if node not in topology.nodes:
        return f'there is no node "{node}"{closest(node, topology.nodes)}'
    if not any(nic.network == cloud.internal and nic.address for nic in topology.nodes[node].nics):
        return f"{node} has no address on {cloud.internal}, where the others ask for the time"
    return ""


def _floating(topology: Topology, cloud: OpenStack) -> Iterator[Problem]:
    """Check that floating addresses are on the public network, and nobody else's."""
    place: Location = ("openstack", "floating")
    public = topology.networks.get(cloud.public)
    if public is None or public.subnet is None:
        return
    if cloud.floating not in public.subnet:
        yield Problem(place, f"{cloud.floating} is not in {cloud.public}'s subnet {public.subnet}")
    elif isinstance(cloud.floating, IPRange):
        for address in map(IPAddress, (public.subnet.first, public.subnet.last)):
            if address in cloud.floating:
                text = f"{address} is no node's: it is the subnet {public.subnet} itself, or all its nodes"
                yield Problem(place, text)
    for name, node in topology.nodes.items():
        for nic in node.nics:
            if nic.address is not None and nic.network == cloud.public and nic.address in cloud.floating:
                yield Problem(place, f"{nic.address} is {name}'s address; take a part without nodes")
