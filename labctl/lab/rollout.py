"""Makes labs from whatever the host has: images and baked disks that are missing first; of many labs, one boots."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from labctl.errors import CapacityError, HypervisorError, LabctlError, LockedError
from labctl.images import recipe
from labctl.lab import bake, capture, create, decisions, images, provisional, standby
from labctl.lab.create import Created
from labctl.lab.decisions import Choice, Starting
from labctl.plan.lab import BARE, INSTALLED
from labctl.roles import fit
from labctl.sets import warm
from labctl.site.site import Site
from labctl.site.together import Attempts, GroupError
from labctl.site.work import Work
from labctl.sizes import size
from labctl.spec.topology import Topology
from labctl.state import LabRecord

_PATIENCE = 6 * 3600.0  # seconds to wait for the run that makes the first lab; emulated clouds take up to 40 minutes
_NODES = 4  # a processor, that are forked at a time: eight nodes on two emulating ones need 21 s (docs/benchmarks.md)
_CHAPTER = 660  # seconds more that the installation up to a chapter takes in emulated nodes
_EMULATED = {BARE: (40, 17), INSTALLED: (60, 180)}  # seconds that a boot takes, and more for each node (same place)


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """What is done for new labs, in this order.

    Attributes:
        images: recipes to build.
        layers: image to what is added to its recipe.
        bake: whether the disks of the topology's cloud are baked.
        until: the chapter up to which a cloud is installed; empty for none.
        origin: the team whose lab is made first and captured; empty where none is.
        boot: seconds until that lab is ready, roughly; 0 where nobody knows.
        forks: the teams whose labs are forked, from that set or from one that is there.
        takes: team to the lab of the pool that it takes.
    """

    images: tuple[str, ...] = ()
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bake: bool = False
    until: str = ""
    origin: str = ""
    boot: int = 0
    forks: tuple[str, ...] = ()
    takes: Mapping[str, str] = field(default_factory=dict)

    @property
    def supplies(self) -> bool:
        """Whether anything is made before labs."""
        return bool(self.images) or self.bake

    def remarks(self, topology: str) -> list[str]:
        """Say what it does before labs are made, and what that costs."""
        said = [
            f"image {self._called(name)} is missing: it is built ({recipe.load(name).cost})" for name in self.images
        ]
        if self.bake:
            said.append(f"the disks of {topology}'s cloud are missing: they are baked (about 2 minutes)")
        if self.until:
            said.append(f"no golden set is after the chapter of {self.until}: the cloud is installed up to it")
        said += [f"{team} takes {name}, which waits" for team, name in self.takes.items()]
        if self.origin:
            others = f"{len(self.forks)} lab{'s are' if len(self.forks) > 1 else ' is'}"
            takes = f"Emulated, that takes about {-(-self.boot // 60)} minutes. " if self.boot else ""
            said.append(f"{self.origin} boots and is captured; then {others} forked from it. {takes}--cold boots all")
        return said

    def _called(self, name: str) -> str:
        return f"{name} with {', '.join(self.layers[name])}" if self.layers.get(name) else name


def planned(work: Work, teams: Sequence[str], choice: Choice, how: Starting, *, once: bool) -> Rollout:
    """Decide what has to be done for the labs of these teams that there are not yet.

    Args:
        once: whether many labs may come from one boot, and labs from those that wait.

    Raises:
        InputError: the topology has no cloud, and one is wanted; or the golden set that is named does not match.
    """
    home, site, topology = work.home, work.site, choice.topology
    records = {team: home.lab(team).load() for team in teams}
    new = [team for team, record in records.items() if record is None]
    if topology is None or not new:
        return Rollout()
    golden = decisions.golden_for(site, topology, choice)
    if golden is not None and golden.memory and not warm.obstacle(site, golden) and not choice.cold:
        takes = dict(zip(new, standby.offered(home, site, golden), strict=False)) if once else {}
        return Rollout(takes=takes, forks=tuple(team for team in new if team not in takes))
    if choice.golden is not None:
        return Rollout()
    supplies = Rollout(until=choice.chapter if golden is None else "")
    if golden is None and os.geteuid() == 0:  # others can neither build nor bake; `create` installs without baked disks
        wanted = _images(work, new[0], topology, choice) & set(recipe.names())
        lacking = _lacking(site, topology, wanted, choice)
        supplies = replace(lacking, bake=choice.stage == INSTALLED, until=supplies.until)
    if not once or choice.cold or not how.wait:
        return supplies
    begun = (team for team, record in records.items() if record and _fresh(work, record, topology, choice))
    origin = next(begun, new[0])
    forks = tuple(team for team in new if team != origin)
    first, more = _EMULATED[choice.stage] if site.virt == "qemu" else (0, 0)
    boot = first + more * len(topology.nodes) + (_CHAPTER if first and choice.chapter else 0)
    return replace(supplies, origin=origin, boot=boot, forks=forks) if forks else supplies


def roll_out(work: Work, teams: Sequence[str], choice: Choice, how: Starting, *, once: bool = True) -> list[Created]:
    """Create the teams' labs, or complete them; see `create`. An interrupted run is continued by the same call.

    Args:
        once: take labs that wait; where no golden set has memory for the others, boot and capture one of many new labs,
            and fork the rest.

    Raises:
        LabctlError: an image could not be built, disks not baked, a lab not made or not captured.
    """
    done: list[Created] = []
    with ExitStack() as alone:
        steps = planned(work, teams, choice, how, once=once)
        if choice.topology is not None and (steps.supplies or steps.origin):
            work = _take_turns(work, choice.topology, choice.stage_name, alone)
            steps = planned(work, teams, choice, how, once=once)
        for team in teams:
            if team != steps.origin:
                work.home.lab(team).let_in()
        if choice.topology is not None:
            for remark in steps.remarks(choice.topology.name):
                work.progress.say(remark)
            work = _supply(work, choice.topology, steps)
        lost = [team for team, name in steps.takes.items() if not standby.take(work, name, team)]
        steps = replace(steps, forks=(*lost, *steps.forks))
        groups = _groups(work.site, choice, teams, steps)
        if len(groups) > 1 and not how.overcommit:
            # Whether all of them fit is to be known before the first one is made.
            decisions.decide(work, teams, choice, overcommit=False, held=None)
        if steps.origin:
            done = create.create(work, groups.pop(0), choice, how)
            work.home.lab(steps.origin).touch_not()
            if not _captured(work, steps.origin):
                groups = [list(steps.forks)]
    done += _one_by_one(work, groups, choice, how)
    return sorted(done, key=lambda lab: teams.index(lab.team))


def _take_turns(work: Work, topology: Topology, stage: str, alone: ExitStack) -> Work:
    """Wait for other runs that make what labs of a topology and stage come from; return the work on the host as then.

    Args:
        alone: keeps others waiting.
    """
    home, name = work.home, f"{work.site.name} {topology.digest[:16]} {stage}"
    try:
        alone.enter_context(home.lock("origin", name))
    except LockedError:
        work.progress.say(f"another labctl makes a first lab of {topology.name}, stage {stage}: waiting to fork it")
        alone.enter_context(home.lock("origin", name, wait=_PATIENCE))
    return work.again()


def _captured(work: Work, origin: str) -> bool:
    """Capture the first lab; where the host cannot, say so, and return that the others are to boot."""
    work.progress.say(f"{origin} is ready; it is captured now")
    began = time.monotonic()
    try:
        made = capture.capture(work.again(), origin)
    except LabctlError as exc:
        errors = exc.errors if isinstance(exc, GroupError) else [exc]
        if not all(isinstance(each, CapacityError | HypervisorError) for each in errors):
            raise
        why = f"{exc.brief}\n{exc.details}".strip()
        work.progress.say(f"{origin} could not be captured, so the others boot, too: {why}")
        return False
    work.home.lab(origin).let_in()
    took = time.monotonic() - began
    work.progress.say(f"golden set {made.name} ({size(made.size)}) was captured from {origin} in {took:.0f} s")
    return True


def _groups(site: Site, choice: Choice, teams: Sequence[str], steps: Rollout) -> list[list[str]]:
    """Divide labs into groups that are made side by side, one group after the other.

    A fork's work is its nodes', until they are ready: a group gives each processor its share.
    """
    first = [team for team in teams if team not in steps.forks]
    nodes = len(choice.topology.nodes) if choice.topology is not None else 1
    many = max(1, _NODES * site.host.cpus // nodes)
    waves = [list(steps.forks[start : start + many]) for start in range(0, len(steps.forks), many)]
    return [first, *waves] if first else waves


def _one_by_one(work: Work, groups: Sequence[Sequence[str]], choice: Choice, how: Starting) -> list[Created]:
    """Create labs, one group after the other; one that fails does not stop the others."""
    done: list[Created] = []
    attempts = Attempts()
    for group in groups:
        if len(groups) > 1:
            work.progress.say(f"making {', '.join(group)}")
        with attempts.one():
            done += create.create(work.again(), group, choice, how)
    attempts.check(brief="not every lab could be made")
    return done


def _fresh(work: Work, record: LabRecord, topology: Topology, choice: Choice) -> bool:
    """Whether an interrupted run left a lab that nobody can have worked in yet: it may still become the origin."""
    mark = (record.digest, record.stage_name, record.bare, record.restoring)
    same = mark == (topology.digest, choice.stage_name, (), "")
    stands = topology.nodes.keys() <= record.ready.keys() and record.stands
    return same and (not stands or work.home.lab(record.team).untouched)


def _images(work: Work, team: str, topology: Topology, choice: Choice) -> set[str]:
    (plan,) = provisional.plans(work.home, [team], topology, stage=choice.stage, host=work.site.name)
    cloud = topology.openstack
    return {node.image for node in plan.nodes} | ({cloud.image} if cloud and cloud.medium and choice.chapter else set())


def _lacking(site: Site, topology: Topology, wanted: Collection[str], choice: Choice) -> Rollout:
    """Say which of the recipes have to be built, and with which layers; those that an image has, it keeps.

    A chapter is installed on bare nodes from the medium of the cloud's image, so that is what they need of it.
    """
    there = dict(site.images.images(site.volumes))
    needed: dict[str, set[str]] = {name: set() for name in wanted}
    if topology.openstack and choice.chapter:
        medium = there.get(topology.openstack.medium or "")
        there.pop(topology.openstack.image, None)
        there |= {topology.openstack.image: medium} if medium else {}
    if topology.openstack and topology.openstack.image in needed:
        needed[topology.openstack.image] |= set(
            fit.layers(role for node in topology.nodes.values() for role in node.roles)
        )
    had = {name: set(there[name].manifest.extras) if name in there else set() for name in wanted}
    lacking = tuple(sorted(name for name in wanted if name not in there or needed[name] - had[name]))
    return Rollout(images=lacking, layers={name: tuple(sorted(needed[name] | had[name])) for name in lacking})


def _supply(work: Work, topology: Topology, steps: Rollout) -> Work:
    """Make what the host lacks; return the work on the host as it is then."""
    for name in steps.images:
        images.build(work, name, mirror=None, extras=steps.layers.get(name, ()))
        work = work.again()
    if steps.bake:
        bake.bake(work, topology, f"{topology.name}-{INSTALLED}")
    return work.again()
