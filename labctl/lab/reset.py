"""Gives nodes back as they were when the lab was made: a fresh overlay of the golden base, the same identity."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from labctl.errors import InputError, RefusedError, RemoteError
from labctl.lab import create, demolition, events, nodes
from labctl.lab.decisions import Starting
from labctl.plan.lab import BARE, INSTALLED
from labctl.plan.model import LabPlan
from labctl.roles.role import ROLES
from labctl.rounds.events import Reset
from labctl.sets import hold, sources
from labctl.site import room
from labctl.site.progress import Phase
from labctl.site.work import Work
from labctl.state import Home, records
from labctl.state.ledger import Ledger
from labctl.state.records import Lab


def reset(
    work: Work,
    team: str,
    names: Sequence[str],
    *,
    stage: str | None = None,
    how: Starting = Starting(),  # noqa: B008
) -> list[str]:
    """Make nodes of a lab anew: fresh disks on the same base, same names, addresses, MACs and host keys.

    Where the lab stands on a golden set with memory, that memory is restored. The rest of the lab goes on undisturbed.
    A reset that was interrupted is finished by itself, or by `create`.

    Args:
        names: which nodes; all of them is `[]`.
        stage: bare puts nodes of an installed lab on base images; None stands for the lab's own.

    Returns:
        The names of the nodes that were reset.

    Raises:
        InputError: the team has no lab, the lab no such node, or the host not the image for that stage.
        ForeignObjectError: an object on the host has a name of this lab and is not ours.
        CapacityError: nodes are off, and the host has not enough of something any more.
    """
    with ExitStack() as held:
        chosen = _take_down(work, team, names, held, stage=stage, overcommit=how.overcommit)
        # The nodes are missing now, and the lab is recorded as incomplete: what is left to do is what create does.
        create.create(work.again(), [team], how=replace(how, overcommit=True))
    return chosen


def losses(home: Home, team: str, names: Sequence[str]) -> list[str]:
    """Say what a reset of these nodes takes away while other nodes still speak of it, a line for each role.

    Resetting all nodes loses as much, but nothing that any node still speaks of.
    """
    lab = records.lab_of(home, team)
    chosen = choose(lab.plan, names)
    if lab.record.stage != INSTALLED or len(chosen) == len(lab.plan.nodes):
        return []
    return [
        f"{name} loses {ROLES[role].loses}" for name in chosen for role in lab.plan.duties(name) if ROLES[role].loses
    ]


def clean(work: Work, team: str, names: Sequence[str]) -> list[str]:
    """Make the cloud forget what resets of these nodes took away; return what was cleaned, node and role.

    Raises:
        LabctlError: a node could not do it.
    """
    site = work.site
    with records.locked(work.home, [team]):
        lab = records.lab_of(work.home, team)
        done = []
        for name in choose(lab.plan, names):
            node = lab.plan.node(name)
            for role in filter(lambda role: ROLES[role].clean, lab.plan.duties(name)):
                line = f"set -e; . /root/admin-openrc; {ROLES[role].clean.strip()}"
                said = site.hypervisor.run_inside(node.uuid, line, timeout=site.pace.clean, cancelled=work.cancelled)
                if said.exit_code:
                    raise RemoteError(f"{node.domain}: {role} could not be cleaned up", details=said.stderr.strip())
                done.append(f"{name}: {role}")
        return done


def _take_down(
    work: Work, team: str, names: Sequence[str], held: ExitStack, *, stage: str | None, overcommit: bool
) -> list[str]:
    """Write down that nodes begin their next generation, and remove what stands of the last one; return their names.

    Args:
        held: keeps what they take reserved.
    """
    with hold.locked(work, [team]) as work:
        home, site = work.home, work.site
        lab = sources.lab_of(home, site, team)
        nodes.refuse_foreign(site, [lab])
        chosen = choose(lab.plan, names)
        if lab.record.restoring and len(chosen) < len(lab.plan.nodes):
            raise RefusedError(
                f"the lab of {team} has an unfinished restore of a snapshot",
                remedy=f"labctl create {team} completes it; labctl reset -t {team} --all gives the lab as it was made.",
            )
        ledger = Ledger(home.lab(team), lab.record)
        bare = _bare(lab, chosen, stage)
        sources.sourced(site, replace(lab.record, bare=bare))  # before anything is lost
        old = [lab.plan.node(name) for name in chosen]
        demolition.refuse_used(site, lab.plan, old)
        wanted = [replace(lab.plan, nodes=tuple(old))]
        for remark in room.reserve(home, site, wanted, overcommit=overcommit, held=held):
            work.progress.say(remark)
        # A node as it was made among others: the lab stands after no chapter any more but its own.
        ledger.renew(chosen, bare=bare, restoring="", reached=lab.record.reached and lab.record.chapter)
        events.during(home, team, Reset(at=time.time(), nodes=tuple(chosen), whole=len(chosen) == len(lab.plan.nodes)))
        for node in old:
            work.progress.node(team, node.name, Phase.STOPPING)
        work.together(
            [partial(nodes.remove_node, site, ledger, node) for node in old],
            brief="not every node could be removed",
            remedy=f"labctl reset -t {team} {' '.join(chosen)} tries again.",
        )
    return chosen


def _bare(lab: Lab, chosen: Sequence[str], stage: str | None) -> tuple[str, ...]:
    """Return which nodes stand at stage bare from now on, in an installed lab."""
    if stage == INSTALLED and lab.record.stage != INSTALLED:
        raise InputError(
            f"the lab of {lab.plan.team} is bare", remedy=f"labctl install {lab.plan.team} brings its cloud up."
        )
    if stage == BARE and lab.record.chapter:
        raise InputError(
            f"the lab of {lab.plan.team} is made at stage {lab.record.stage_name}, and its nodes are reset to that",
            remedy="Leave --stage out.",
        )
    before = set(lab.record.bare) - set(chosen)
    if stage == BARE and lab.record.stage == INSTALLED:
        before |= set(chosen)
    return tuple(sorted(before))


def choose(plan: LabPlan, names: Sequence[str]) -> list[str]:
    """Return the nodes of that name, or all; in the topology's order.

    Raises:
        InputError: the lab has no such node.
    """
    known = [node.name for node in plan.nodes]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"{plan.team} has no node {', '.join(unknown)}", details=f"Its nodes are {', '.join(known)}.")
    return [name for name in known if not names or name in names]
