"""Keeps labs that wait: forks that are ready, and paused until a team takes one.

A waiting lab is a lab like any other, with its own keys and its own management network, and on record under a name of
its own. A team takes it when its folder in the state folder gets the team's name, which happens all at once or not at
all. Its objects keep the names that they have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import count

from labctl.errors import InputError, LockedError
from labctl.hypervisor import State
from labctl.lab import create, decisions, destroy, nodes, reset
from labctl.lab.decisions import Choice, Starting
from labctl.plan.model import NodePlan
from labctl.sets import hold, warm
from labctl.sets.manifest import GoldenManifest
from labctl.site.progress import Phase
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.state import Home, LabRecord, records


@dataclass(frozen=True, kw_only=True)
class Pool:
    """What `keep` did.

    Attributes:
        waiting: the names of the labs that wait now.
        made: those of them that are new, or were made anew.
        removed: labs that were too many.
    """

    waiting: tuple[str, ...]
    made: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def waiting(home: Home, site: Site, golden: str | None = None) -> list[LabRecord]:
    """Return the records of the labs that wait on a host, by name.

    Args:
        golden: ID of a golden set: only forks of that one.
    """
    every = [record for record in home.records() if record.waits and record.host == site.name]
    return [record for record in every if golden is None or record.golden == golden]


def sound(site: Site, record: LabRecord) -> bool:
    """Whether a waiting lab is complete, and all its nodes are there and on."""
    plan = records.plan_of(record)
    return all(
        record.ready.get(node.name) == node.generation
        and (domain := site.domains.get(node.domain)) is not None
        and nodes.belongs(domain, plan, node)
        and domain.state.active
        for node in plan.nodes
    )


def source(site: Site, choice: Choice) -> GoldenManifest:
    """Return the golden set that waiting labs are forked from.

    Raises:
        InputError: there is none, or its memory cannot be restored here.
    """
    assert choice.topology is not None
    golden = decisions.golden_for(site, choice.topology, choice)
    why = warm.obstacle(site, golden) if golden is not None else ""
    if golden is None or not golden.memory or why:
        raise InputError(
            f"host {site.name} has no golden set with memory for {choice.topology.name}, stage {choice.stage_name}",
            details=why,
            remedy="labctl create TEAM, then labctl golden capture TEAM",
        )
    return golden


def keep(work: Work, number: int, choice: Choice, how: Starting) -> Pool:
    """See that so many labs wait: make those that are missing, repair those that are not sound, remove the surplus.

    An interrupted run is continued by the same call. Labs that wait for another golden set stay as they are.

    Raises:
        InputError: see `source`.
        CapacityError: the host has not enough of something.
        LabctlError: a lab could not be made or removed.
    """
    home, site = work.home, work.site
    golden = source(site, choice)
    for record in _passed_over(home, site, golden):
        work.progress.say(
            f"{record.team} waits for another golden set, so create leaves it: labctl destroy {record.team}"
        )
    known = [record.team for record in waiting(home, site, golden.id)]
    kept, surplus = known[:number], known[number:]
    for name in surplus:
        destroy.destroy(work.again(), name)
    labels = {record.label for record in home.records()}
    every = map("standby-{:02}".format, count(1))
    free = (name for name in every if name not in labels and not home.lab(name).path.exists())
    new = [next(free) for _ in range(number - len(kept))]
    repaired = [name for name in kept if not sound(site, records.record_of(home, name))]
    chosen = replace(choice, golden=golden.id, standby=True)
    for name in repaired:
        _repair(work.again(), name, how)
    for name in new:
        create.create(work.again(), [name], chosen, how)
        _pause(work.again(), name)
    for name in kept:
        _pause(work.again(), name)
    return Pool(waiting=(*kept, *new), made=(*repaired, *new), removed=tuple(surplus))


def clear(work: Work) -> Pool:
    """Remove all labs that wait on a host, whatever they are forked from; an interrupted run is continued.

    Raises:
        LabctlError: a lab could not be removed.
    """
    names = [record.team for record in waiting(work.home, work.site)]
    for name in names:
        destroy.destroy(work.again(), name)
    return Pool(waiting=(), removed=tuple(names))


def offered(home: Home, site: Site, golden: GoldenManifest) -> list[str]:
    """Return the names of the labs that teams can take, which are forks of that golden set."""
    return [record.team for record in waiting(home, site, golden.id) if sound(site, record)]


def take(work: Work, name: str, team: str) -> bool:
    """Make a waiting lab a team's, which has none; `create` lets it go on then. Return whether it could be."""
    home = work.home
    try:
        with records.locked(home, [name, team]):
            record = home.lab(name).load()
            if record is None or not record.waits or not sound(work.site.again(), record):
                return False
            return home.hand_over(name, team)
    except LockedError:
        return False


def _passed_over(home: Home, site: Site, golden: GoldenManifest) -> list[LabRecord]:
    """Return the labs that wait for a set which another one of the same topology and stage has replaced."""
    mark = (golden.digest, golden.stage_name)
    every = waiting(home, site)
    return [record for record in every if record.golden != golden.id and (record.digest, record.stage_name) == mark]


def _repair(work: Work, name: str, how: Starting) -> None:
    """Complete a waiting lab; one whose nodes went off is made anew."""
    create.create(work, [name], how=how)
    if not sound(work.site.again(), records.record_of(work.home, name)):
        reset.reset(work.again(), name, [], how=how)


def _pause(work: Work, name: str) -> None:
    """Pause a waiting lab, unless a team has taken it meanwhile."""
    with hold.locked(work, [name]) as work:
        record = work.home.lab(name).load()
        if record is None or not record.waits:
            return
        plan, site = records.plan_of(record), work.site

        def pause(node: NodePlan) -> None:
            domain = site.domains.get(node.domain)
            if domain is not None and domain.state is State.RUNNING:
                site.hypervisor.suspend_domain(node.uuid)
                work.progress.node(name, node.name, Phase.WAITING)

        work.together(
            [partial(pause, node) for node in plan.nodes],
            jobs=len(plan.nodes),
            brief=f"not every node of {name} could be paused",
            remedy=f"labctl destroy {name} removes it.",
        )
