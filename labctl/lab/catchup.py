"""Gives a lab the state after a chapter, from a golden set that was captured there: for a team that fell behind."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from labctl.errors import InputError
from labctl.lab import create, decisions, demolition, events, nodes
from labctl.lab.decisions import Choice, Starting
from labctl.plan.lab import BARE, INSTALLED, stage_name
from labctl.rounds.events import Reset
from labctl.sets import hold, sources, warm
from labctl.sets.manifest import GoldenManifest
from labctl.site import room
from labctl.site.progress import Phase
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.spec.topology import restore
from labctl.state import LabRecord
from labctl.state.ledger import Ledger


def target(site: Site, record: LabRecord, to: str) -> GoldenManifest:
    """Return the golden set that a lab is taken to: the newest of its topology after a chapter.

    Sets whose memory can be restored here come before others.

    Args:
        to: the chapter's role; or installed, which is after the last one.

    Raises:
        InputError: the lab's topology has no such chapter, or the host no such set.
    """
    topology = restore(record.topology)
    stage, chapter = (INSTALLED, "") if to == INSTALLED else (BARE, to)
    found = decisions.golden_for(site, topology, Choice(topology=topology, stage=stage, chapter=chapter))
    if found is None or not found.memory:
        name, until = stage_name(stage, chapter), f" --until {chapter}" if chapter else ""
        made = f"labctl create TEAM --topology {topology.name}" + (" --stage installed" if to == INSTALLED else "")
        raise InputError(
            f"host {site.name} has no golden set with memory of topology {topology.name}, stage {name}",
            remedy=f"Make one of a lab that nobody needs: {made}, then labctl golden capture TEAM{until}",
        )
    return found


def said(site: Site, record: LabRecord, golden: GoldenManifest) -> list[str]:
    """Say what a lab is taken to, what it keeps and what it loses."""
    team, nodes = record.team, ", ".join(golden.memory)
    now = record.stage_name + (f", installed up to {record.reached}" if record.reached else "")
    lines = [
        f"{team} is at stage {now}. It is taken to stage {golden.stage_name}: golden set {golden.name} ({golden.id}), "
        f"captured {golden.created}.",
        "It keeps its addresses, its keys, its team's access, its snapshots, and the points of rounds.",
        f"It loses all that was done on {nodes}: files, packages, databases, instances, volumes. "
        "Its cloud has the set's passwords from then on.",
    ]
    if golden.machine is not None and (why := warm.obstacle(site, golden)):
        lines.append(f"{why}; its nodes boot from the set's disks.")
    return lines


def catch_up(work: Work, team: str, to: str, how: Starting = Starting()) -> GoldenManifest:  # noqa: B008 - frozen
    """Make all nodes of a lab anew from the golden set of a chapter; return the set.

    A run that was interrupted is finished by `create`, or by the same call.

    Raises:
        InputError: the team has no lab; or see `target`.
        ForeignObjectError: an object on the host has a name of this lab and is not ours.
        CapacityError: nodes are off, and the host has not enough of something any more.
    """
    with ExitStack() as held:
        golden = _take_down(work, team, to, held, overcommit=how.overcommit)
        # The nodes are missing now, and the record tells what they come from: what is left to do is what create does.
        create.create(work.again(), [team], how=replace(how, overcommit=True))
    return golden


def _take_down(work: Work, team: str, to: str, held: ExitStack, *, overcommit: bool) -> GoldenManifest:
    """Write down that all nodes come from a golden set, and remove what stands of them.

    Args:
        held: keeps what they take reserved.
    """
    home = work.home
    with hold.locked(work, [team]) as work:
        site = work.site
        lab = sources.lab_of(home, site, team)
        nodes.refuse_foreign(site, [lab])
        golden = target(site, lab.record, to)
        demolition.refuse_used(site, lab.plan, lab.plan.nodes)
        for remark in room.reserve(home, site, [lab.plan], overcommit=overcommit, held=held):
            work.progress.say(remark)
        ledger, names = Ledger(home.lab(team), lab.record), [node.name for node in lab.plan.nodes]
        ledger.renew(
            names,
            stage=golden.stage,
            chapter=golden.chapter,
            reached="",
            installed=False,
            golden=golden.id,
            captured="",
            nested=dict(golden.nested),
            bare=(),
            restoring="",
            cold=False,
            inherits=True,
        )
        events.during(home, team, Reset(at=time.time(), nodes=tuple(names), whole=True))
        for node in lab.plan.nodes:
            work.progress.node(team, node.name, Phase.STOPPING)
        work.together(
            [partial(nodes.remove_node, site, ledger, node) for node in lab.plan.nodes],
            brief="not every node could be removed",
            remedy=f"labctl create {team} goes on.",
        )
    return golden
