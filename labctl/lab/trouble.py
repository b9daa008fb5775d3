"""Says why a node is not as it should be, and what helps; libvirt is asked, the node is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from labctl.errors import InputError, LabctlError
from labctl.hypervisor import State
from labctl.hypervisor.facts import IO_ERROR
from labctl.lab import nodes
from labctl.plan.model import LabPlan, NetworkPlan, NodePlan
from labctl.site import networks
from labctl.site.site import Site
from labctl.state import LabRecord


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Why a node is not as it should be.

    Attributes:
        what: the end of a sentence that begins with the node's name.
        remedy: what to do, a command or a sentence that holds one.
        reachable: whether the node may be of use all the same.
    """

    what: str
    remedy: str
    reachable: bool = False


def down(site: Site, plan: LabPlan, node: NodePlan) -> Trouble | None:
    """Say why a node does not run; None when it does."""
    team, domain = plan.team, site.domains.get(node.domain)
    if domain is None:
        return Trouble(what="has no domain: it was not made, or somebody removed it", remedy=f"labctl create {team}")
    if not nodes.belongs(domain, plan, node):
        return Trouble(
            what=f"does not exist: a foreign domain has its name ({domain.uuid})",
            remedy=f"Rename or remove that domain with virsh, then labctl create {team}",
        )
    if not domain.state.active:
        if lost := _lost(site, node):
            return Trouble(what=f"is off, and has lost {lost}", remedy=_reset(plan, node))
        return Trouble(what="is off", remedy=f"labctl start {team} --node {node.name}")
    if domain.reason == IO_ERROR:
        return Trouble(
            what="is paused: its disk could not be written to, the host's file system is full",
            remedy=f"Free some room on the host (labctl image list, labctl golden list), then labctl start {team}",
        )
    if domain.state is State.PAUSED:
        return Trouble(
            what="is paused: a golden capture runs or was interrupted, or somebody suspended it",
            remedy=f"labctl start {team} --node {node.name}",
        )
    return None


def troubles(site: Site, record: LabRecord, plan: LabPlan) -> dict[str, Trouble]:
    """Return what is wrong with the nodes of a lab, by name, as far as libvirt and the record tell."""
    off = {network.key for network in plan.networks if not _runs(site, network)}
    loose = {
        (node.name, network.key)
        for network in plan.networks
        if network.key not in off
        for node, _ in networks.unplugged(site, plan, network)
    }
    found = {}
    for node in plan.nodes:
        wrong = (
            _unfinished(site, record, plan, node)
            or down(site, plan, node)
            or _running(site, record, plan, node, off, loose)
        )
        if wrong is not None:
            found[node.name] = wrong
    return found


def silent(plan: LabPlan, node: NodePlan) -> Trouble:
    """Say what is wrong with a node that runs, on its networks, and does not answer."""
    screen = f"labctl console {node.name} -t {plan.team} shows its screen"
    return Trouble(what="does not answer by SSH", remedy=f"{screen}; {_reset(plan, node)}")


def refuse_down(site: Site, plan: LabPlan, chosen: Iterable[NodePlan]) -> None:
    """Raise InputError when any of these nodes does not run."""
    wrong = [(node.name, why) for node in chosen if (why := down(site, plan, node))]
    if wrong:
        raise InputError(
            f"not every node of {plan.team} runs",
            details="\n".join(f"{name} {why.what}" for name, why in wrong),
            remedy=wrong[0][1].remedy if len(wrong) == 1 else _together(plan, [why for _, why in wrong]),
        )


def refuse_lost(site: Site, plan: LabPlan, chosen: Iterable[NodePlan]) -> None:
    """Raise LabctlError when nodes that are to be started have lost disks."""
    lost = {node.name: what for node in chosen if (what := _lost(site, node))}
    if lost:
        raise LabctlError(
            f"nodes of {plan.team} have lost disks: {', '.join(lost)}",
            details="\n".join(f"{name}: {what} is no longer in pool {site.pool.name}" for name, what in lost.items()),
            remedy=f"labctl reset {' '.join(lost)} -t {plan.team} gives them new ones.",
        )


def _unfinished(site: Site, record: LabRecord, plan: LabPlan, node: NodePlan) -> Trouble | None:
    """Say that a node is about to be made anew, whatever state its domain is in; None when it is not."""
    domain = site.domains.get(node.domain)
    if domain is None or not nodes.belongs(domain, plan, node) or not nodes.unfinished(record, node, domain):
        return None
    return Trouble(
        what="is incomplete: a reset or a create was interrupted", remedy=f"labctl create {plan.team} completes it"
    )


def _running(
    site: Site, record: LabRecord, plan: LabPlan, node: NodePlan, off: set[str], loose: set[tuple[str, str]]
) -> Trouble | None:
    """Say what is wrong with a node that runs."""
    keys = dict.fromkeys(nic.network for nic in node.nics)
    names = {key: plan.network(key).name for key in keys}
    if lost := _lost(site, node):
        return Trouble(
            what=f"has lost {lost}, and cannot start again once it is off", remedy=_reset(plan, node), reachable=True
        )
    if gone := [names[key] for key in keys if key in off]:
        return Trouble(
            what=f"is cut off: {', '.join(gone)} does not run",
            remedy=f"labctl start {plan.team}",
            reachable=True,
        )
    if cut := [names[key] for key in keys if (node.name, key) in loose]:
        return Trouble(
            what=f"is cut off: {', '.join(cut)} was stopped and started under it",
            remedy=f"labctl start {plan.team}",
            reachable=True,
        )
    if record.ready.get(node.name) != node.generation:
        return Trouble(what="was not seen ready yet", remedy=f"labctl create {plan.team} waits for it")
    return None


def _together(plan: LabPlan, wrong: Iterable[Trouble]) -> str:
    """Return what helps several nodes at once: all that are only off are started, else the first one's comes first."""
    remedies = [each.remedy for each in wrong]
    start = f"labctl start {plan.team}"
    return (
        start
        if all(remedy.startswith(start) for remedy in remedies)
        else next(remedy for remedy in remedies if not remedy.startswith(start))
    )


def _lost(site: Site, node: NodePlan) -> str:
    """Name the volumes of a node that are gone."""
    return ", ".join(sorted(name for name in node.volumes if name not in site.volumes))


def _reset(plan: LabPlan, node: NodePlan) -> str:
    return f"labctl reset {node.name} -t {plan.team} makes it new"


def _runs(site: Site, network: NetworkPlan) -> bool:
    found = site.networks.get(network.name)
    return found is not None and found.uuid == network.uuid and found.active
