"""Stops and starts labs that stand."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

from labctl.errors import HypervisorError, InputError
from labctl.hypervisor import DomainFacts
from labctl.lab import begin, hold, nodes, ready
from labctl.lab.begin import Begun
from labctl.lab.nodes import Ledger
from labctl.lab.progress import Phase, Progress
from labctl.lab.reset import choose
from labctl.lab.site import Site
from labctl.lab.work import together
from labctl.plan.model import NodePlan
from labctl.state import Home

SHUTDOWN_SECONDS = {"kvm": 60.0, "qemu": 180.0}
"""How long a guest may take to power off before the plug is pulled."""


def stop(
    home: Home,
    site: Site,
    team: str,
    names: Sequence[str],
    *,
    force: bool,
    progress: Progress,
    cancelled: threading.Event,
) -> list[str]:
    """Power nodes off, asking the guests first; return the names of those that were on.

    Args:
        names: which nodes; `[]` means all.
        force: pull the plug at once.
    """
    with begin.locked(home, [team]):
        lab = begin.recorded(home, site, team)
        running = [node for node in _existing(site, lab, names) if site.domains[node.domain].state.active]
        pieces = [partial(_stop, site, team, node, force, progress, cancelled) for node in running]
        together(
            pieces,
            jobs=len(pieces),
            cancelled=cancelled,
            brief="not every node could be stopped",
            remedy="labctl stop --force pulls the plug.",
        )
        return [node.name for node in running]


def start(
    home: Home,
    site: Site,
    team: str,
    names: Sequence[str],
    *,
    jobs: int,
    wait: bool,
    progress: Progress,
    cancelled: threading.Event,
) -> list[str]:
    """Power nodes on, their networks first; return the names of those that were off.

    Args:
        names: which nodes; `[]` means all.
        wait: whether to wait until each is ready.
    """
    with begin.locked(home, [team]):
        hold.release(home, site, team, jobs=jobs, progress=progress, cancelled=cancelled)
        site = site.again()
        lab = begin.recorded(home, site, team)
        begin.refuse_foreign(site, [lab])
        ledger = Ledger(home.lab(team), lab.record)
        off = [node for node in _existing(site, lab, names) if not site.domains[node.domain].state.active]
        run = partial(
            together,
            cancelled=cancelled,
            brief="not every node could be started",
            remedy=f"labctl start {team} tries again.",
        )
        networks = [
            partial(nodes.make_network, site, lab.plan, network, site.networks) for network in lab.plan.networks
        ]
        run(networks, jobs=jobs)
        run([partial(_start, site, team, node, progress) for node in off], jobs=jobs)
        if wait and off:
            folder = home.lab(team)
            run(
                [partial(ready.wait, site, folder, ledger, lab.plan, node, progress, cancelled) for node in off],
                jobs=len(off),
            )
        return [node.name for node in off]


def _existing(site: Site, lab: Begun, names: Sequence[str]) -> list[NodePlan]:
    """Return the chosen nodes whose domains exist, and refuse when some are missing or not ours."""
    chosen = [lab.plan.node(name) for name in choose(lab, names)]
    missing = [
        node.name
        for node in chosen
        if node.domain not in site.domains or not nodes.belongs(site.domains[node.domain], lab.plan, node)
    ]
    if missing:
        raise InputError(
            f"{lab.plan.team} is not whole: {', '.join(missing)} missing", remedy=f"labctl create {lab.plan.team}"
        )
    return chosen


def _start(site: Site, team: str, node: NodePlan, progress: Progress) -> None:
    site.hypervisor.start_domain(node.uuid)
    progress.node(team, node.name, Phase.BOOTING)


def _stop(site: Site, team: str, node: NodePlan, force: bool, progress: Progress, cancelled: threading.Event) -> None:
    def off(domain: DomainFacts | None) -> bool:
        return domain is None or not domain.state.active

    progress.node(team, node.name, Phase.STOPPING)
    if not force:
        site.hypervisor.shutdown_domain(node.uuid)
        seconds = SHUTDOWN_SECONDS[site.virt]
        if not site.hypervisor.wait_for_domain(node.uuid, off, timeout=seconds, cancelled=cancelled):
            if cancelled.is_set():
                return
            progress.say(f"{node.domain} did not power off within {seconds:.0f} s; its plug is pulled")
    try:
        site.hypervisor.power_off(node.uuid)
    except HypervisorError:
        if not off(site.hypervisor.domain(node.uuid)):
            raise
    progress.node(team, node.name, Phase.OFF)
