"""Takes labs away, so that nothing of them is left."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from labctl.errors import LabctlError, RefusedError
from labctl.hypervisor import DomainFacts
from labctl.lab import begin, hold, nodes
from labctl.lab.progress import Phase, Progress
from labctl.lab.site import Site
from labctl.lab.work import GroupError, together
from labctl.plan.model import LabPlan
from labctl.state import Home, LabRecord


def destroy(home: Home, site: Site, team: str, *, jobs: int, progress: Progress, cancelled: threading.Event) -> None:
    """Remove a team's domains, volumes and networks, give its subnet back and delete its keys.

    Errors do not stop it; what could not be removed is reported, and stays on record for the next try.

    Raises:
        InputError: the team has no lab.
        RefusedError: the lab stands on another host.
        LabctlError: something is left.
    """
    with begin.locked(home, [team]):
        record = begin.record_of(home, team)
        if record.host != site.name:
            raise RefusedError(f"{team} has its lab on host {record.host}, not on {site.name}")
        lab = begin.plan_of(record)
        hold.forget(home, site, team)
        errors: list[LabctlError] = []
        for pieces in (
            _domains(site, lab, progress),
            _volumes(site, record),
            [partial(site.hypervisor.remove_network, network.uuid) for network in lab.networks],
        ):
            try:
                together(pieces, jobs=jobs, cancelled=cancelled, brief="", remedy="")
            except LabctlError as exc:
                errors.append(exc)
        if errors:
            raise GroupError(f"something of {team}'s lab is left", errors, remedy=f"labctl destroy {team} tries again.")
        home.lab(team).remove()


def _domains(site: Site, lab: LabPlan, progress: Progress) -> list[Callable[[], None]]:
    def remove(domain: DomainFacts, node: str) -> None:
        progress.node(lab.team, node, Phase.STOPPING)
        site.hypervisor.remove_domain(domain.uuid)
        progress.node(lab.team, node, Phase.REMOVED)

    uuids = {domain.uuid: domain for domain in site.domains.values()}
    return [
        partial(remove, uuids[node.uuid], node.name)
        for node in lab.nodes
        if node.uuid in uuids and nodes.belongs(uuids[node.uuid], lab, node)
    ]


def _volumes(site: Site, record: LabRecord) -> list[Callable[[], None]]:
    return [
        partial(site.hypervisor.remove_volume, site.settings.pool.name, name)
        for name in record.volumes
        if name in site.volumes
    ]
