"""Makes and mends the networks of one lab."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid5

from labctl.errors import HypervisorError
from labctl.plan.lab import network_uuid
from labctl.plan.model import LabPlan, NetworkPlan, NodePlan
from labctl.render import xml
from labctl.site.site import Site

_BETWEEN = "between"


def every(lab: LabPlan) -> dict[UUID, str]:
    """Return the networks of a lab, UUID to name, with those that an interrupted run may have left."""
    return {each.uuid: each.name for network in lab.networks for each in (network, _between(network))}


def uuids(lab: UUID, key: str) -> set[UUID]:
    """Return the UUIDs of a lab's network of that key and of the empty one beside it (see `plug`)."""
    own = network_uuid(lab, key)
    return {own, uuid5(own, _BETWEEN)}


def make(site: Site, lab: LabPlan, network: NetworkPlan) -> bool:
    """Define and start a network that is missing or off; return whether there was anything to do."""
    found = site.networks.get(network.name)
    if found is not None and found.active:
        return False
    try:
        # One of another subnet is left from before the lab got this one: it is defined anew.
        if found is None or (network.nat and network.subnet not in found.subnets):
            site.hypervisor.create_network(xml.network_xml(network, lab))
        else:
            site.hypervisor.start_network(network.uuid)
    except HypervisorError:
        # libvirt forgets the bridge of a network whose start ended half-way: on a full disk, or because libvirtd was
        # killed. Its name is a hash of the lab's ID: no other network can mean it.
        if not site.dialer.remove_bridge(network.bridge):
            raise
        site.hypervisor.start_network(network.uuid)
    return True


def unplugged(site: Site, lab: LabPlan, network: NetworkPlan) -> list[tuple[NodePlan, str]]:
    """Return the cards that belong to a network and are not plugged into it, as node and MAC; running nodes only.

    This happens to all cards when a network is stopped and started again. Empty if the driver does not report it.
    """
    running = [node for node in lab.nodes if node.domain in site.domains and site.domains[node.domain].state.active]
    cards = [(node, nic.mac) for node in running for nic in node.nics if nic.network == network.key]
    found = site.hypervisor.plugged(network.uuid) if cards else None
    return [] if found is None else [(node, mac) for node, mac in cards if (node.uuid, mac) not in found]


def plug(site: Site, lab: LabPlan, network: NetworkPlan) -> list[str]:
    """Plug running nodes into a network that was stopped under them; return which nodes were unplugged.

    libvirt believes that a card is plugged in as long as its bridge has the same name. The card is therefore plugged
    into an empty network first, then into its own. If one card fails, the others are plugged in all the same.
    """
    cards = unplugged(site, lab, network)
    if not cards:
        return []
    between = _between(network)
    make(site, lab, between)
    errors = []
    try:
        for node, mac in cards:
            try:
                site.hypervisor.plug(node.uuid, mac, between.name)
                site.hypervisor.plug(node.uuid, mac, network.name)
            except HypervisorError as exc:
                domain = site.hypervisor.domain(node.uuid)
                if domain is not None and domain.state.active:  # otherwise it went off meanwhile
                    errors.append(exc)
    finally:
        site.hypervisor.remove_network(between.uuid)
    if errors:
        raise errors[0]
    return [node.name for node, _ in cards]


def _between(network: NetworkPlan) -> NetworkPlan:
    """Plan the empty network through which cards are plugged into another one again."""
    uuid = uuid5(network.uuid, _BETWEEN)
    return replace(
        network,
        name=f"{network.name}-between",
        uuid=uuid,
        bridge=f"lab{uuid.hex[:10]}",
        nat=False,
        gateway=None,
        leases=(),
    )
