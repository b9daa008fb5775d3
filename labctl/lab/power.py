"""Stops and starts existing labs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial

from labctl.errors import CapacityError, DeadlineError, HypervisorError, InputError, LabctlError
from labctl.hypervisor import DomainFacts, State
from labctl.hypervisor.facts import IO_ERROR
from labctl.lab import nodes, ready, trouble
from labctl.lab.decisions import Starting
from labctl.lab.reset import choose
from labctl.plan.model import LabPlan, NetworkPlan, NodePlan
from labctl.render import identity
from labctl.sets import hold, sources
from labctl.site import networks, room
from labctl.site.progress import Phase
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.state import records
from labctl.state.ledger import Ledger
from labctl.state.records import Lab

_AGAIN = 2.0  # seconds within which a guest whose disk is still full is paused again


@dataclass(frozen=True, kw_only=True)
class Started:
    """What `start` did.

    Attributes:
        started: nodes that were off.
        resumed: nodes that were paused: by somebody, or by QEMU, because the disk was full.
        plugged: nodes that ran on while a network of theirs was off, and are plugged into it again.
    """

    started: tuple[str, ...] = ()
    resumed: tuple[str, ...] = ()
    plugged: tuple[str, ...] = ()


def stop(work: Work, team: str, names: Sequence[str], *, force: bool) -> list[str]:
    """Power nodes off, asking the guests first; return the names of those that were on.

    Args:
        names: which nodes; `[]` means all.
        force: pull the plug at once.
    """
    site, progress = work.site, work.progress
    with records.locked(work.home, [team]):
        plan = records.lab_of(work.home, team).plan
        chosen = [plan.node(name) for name in choose(plan, names)]
        running = []
        for node in chosen:
            domain = site.domains.get(node.domain)
            if domain is None:
                progress.say(f"{node.domain} has no domain; labctl create {team} makes it")
            elif not nodes.belongs(domain, plan, node):
                progress.say(f"{node.domain} is a domain that is not {team}'s ({domain.uuid}); it is left alone")
            elif domain.state.active:
                running.append(node)
        pieces = [partial(_stop, work, team, node, force) for node in running]
        work.together(
            pieces,
            jobs=len(pieces),
            brief="not every node could be stopped",
            remedy=f"labctl stop {team} --force cuts the power.",
        )
        return [node.name for node in running]


def start(work: Work, team: str, names: Sequence[str], how: Starting) -> Started:
    """Have nodes run, on networks that they are plugged into.

    Args:
        names: which nodes; `[]` means all.

    Raises:
        CapacityError: the host has not enough of something; or a node's disk is still full.
        RefusedError: a reset of one of them is not finished.
        LabctlError: a node could not be started, or did not get ready.
    """
    home, progress = work.home, work.progress
    with hold.locked(work, [team]) as work, ExitStack() as held:
        site = work.site
        lab = sources.lab_of(home, site, team)
        nodes.refuse_foreign(site, [lab])
        existing, absent = _existing(site, lab, names)
        nodes.refuse_unfinished(site, lab.plan, lab.record, [node.name for node in existing])
        off = [node for node in existing if not site.domains[node.domain].state.active]
        trouble.refuse_lost(site, lab.plan, off)
        paused = [node for node in existing if site.domains[node.domain].state is State.PAUSED]
        wanted = [replace(lab.plan, nodes=tuple(off))]
        for remark in room.reserve(home, site, wanted, overcommit=how.overcommit, held=held):
            progress.say(remark)
        run = partial(
            work.together,
            brief="not every node could be started",
            remedy=f"labctl start {team} tries again.",
        )
        plugged: set[str] = set()
        run(partial(_network, site, lab.plan, network, plugged) for network in lab.plan.networks)
        run(
            [
                *(partial(_start, work, team, node) for node in off),
                *(partial(_resume, work, team, node) for node in paused),
            ],
        )
        if off:
            site.share(lab.plan)
        if how.wait and (off or paused):
            ledger = Ledger(home.lab(team), lab.record)
            run(
                [
                    *(partial(ready.wait, work, ledger, lab.plan, node) for node in off),
                    *(partial(_wake, work, ledger, lab.plan, node) for node in paused),
                ],
                jobs=len(off) + len(paused),
            )
        if absent:
            raise LabctlError(
                f"{team} is not whole: {', '.join(absent)} missing",
                details="All others run.",
                remedy=f"labctl create {team}",
            )
        return Started(
            started=tuple(node.name for node in off),
            resumed=tuple(node.name for node in paused),
            plugged=tuple(sorted(plugged)),
        )


def _existing(site: Site, lab: Lab, names: Sequence[str]) -> tuple[list[NodePlan], list[str]]:
    """Return the chosen nodes whose domains exist, and the names of the others; refuse when those were named."""
    chosen = [lab.plan.node(name) for name in choose(lab.plan, names)]
    absent = [node.name for node in chosen if node.domain not in site.domains]
    if absent and names:
        raise InputError(
            f"{', '.join(absent)} of {lab.plan.team} cannot be started: there is no domain",
            remedy=f"labctl create {lab.plan.team}",
        )
    return [node for node in chosen if node.name not in absent], absent


def _network(site: Site, lab: LabPlan, network: NetworkPlan, plugged: set[str]) -> None:
    networks.make(site, lab, network)
    plugged.update(networks.plug(site, lab, network))


def _start(work: Work, team: str, node: NodePlan) -> None:
    work.site.hypervisor.start_domain(node.uuid)
    work.progress.node(team, node.name, Phase.BOOTING)


def _resume(work: Work, team: str, node: NodePlan) -> None:
    site = work.site

    def stuck(domain: DomainFacts | None) -> bool:
        return domain is not None and domain.reason == IO_ERROR

    was_full = stuck(site.domains[node.domain])
    site.hypervisor.resume_domain(node.uuid)
    # QEMU writes again what it could not, and pauses the guest once more when there is still no room.
    if was_full and site.hypervisor.wait_for_domain(node.uuid, stuck, timeout=_AGAIN, cancelled=work.cancelled):
        raise CapacityError(
            f"{node.domain} is paused again: its disk cannot be written to",
            remedy=f"Free some room on the host (labctl image list, labctl golden list), then labctl start {team}.",
        )
    work.progress.node(team, node.name, Phase.BOOTING)


def _wake(work: Work, ledger: Ledger, lab: LabPlan, node: NodePlan) -> None:
    """Wait until a node that was paused is ready, and set its clock, which stood still."""
    ready.wait(work, ledger, lab, node)
    site = work.site
    with suppress(DeadlineError):  # an image of somebody else's may have no agent
        site.hypervisor.run_inside(node.uuid, identity.CLOCK, timeout=site.pace.login, cancelled=work.cancelled)


def _stop(work: Work, team: str, node: NodePlan, force: bool) -> None:
    site, progress, cancelled = work.site, work.progress, work.cancelled

    def off(domain: DomainFacts | None) -> bool:
        return domain is None or not domain.state.active

    progress.node(team, node.name, Phase.STOPPING)
    if not force and site.domains[node.domain].state is not State.PAUSED:  # a guest that stands still hears nothing
        site.hypervisor.shutdown_domain(node.uuid)
        seconds = site.pace.shutdown
        if not site.hypervisor.wait_for_domain(node.uuid, off, timeout=seconds, cancelled=cancelled):
            if cancelled.is_set():
                return
            progress.say(f"{node.domain} did not power off within {seconds:.0f} s; its power is cut")
    try:
        site.hypervisor.power_off(node.uuid)
    except HypervisorError:
        if not off(site.hypervisor.domain(node.uuid)):
            raise
    progress.node(team, node.name, Phase.OFF)
