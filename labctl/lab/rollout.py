"""Makes labs from whatever the host has: images and baked disks that are missing first; of many labs, one boots."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from labctl.images import recipe
from labctl.lab import bake, capture, create, decisions, images, provisional
from labctl.lab.create import Created
from labctl.lab.decisions import Choice, Starting
from labctl.plan.lab import INSTALLED
from labctl.roles import fit
from labctl.sets import warm
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.spec.topology import Topology
from labctl.state import LabRecord


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """What is done for new labs, in this order.

    Attributes:
        images: recipes to build.
        layers: image to what is added to its recipe.
        bake: whether the disks of the topology's cloud are baked.
        origin: the team whose lab is made first and captured; empty where all labs are made side by side.
        forks: the teams whose labs are forked from that set.
    """

    images: tuple[str, ...] = ()
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bake: bool = False
    origin: str = ""
    forks: tuple[str, ...] = ()

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
        if self.origin:
            others = f"{len(self.forks)} lab{'s are' if len(self.forks) > 1 else ' is'}"
            said.append(f"{self.origin} boots and is captured; then {others} forked from it. --cold boots all")
        return said

    def _called(self, name: str) -> str:
        return f"{name} with {', '.join(self.layers[name])}" if self.layers.get(name) else name


def planned(work: Work, teams: Sequence[str], choice: Choice, how: Starting, *, once: bool) -> Rollout:
    """Decide what has to be done for the labs of these teams that there are not yet.

    Args:
        once: whether many labs may come from one boot.

    Raises:
        InputError: the topology has no cloud, and one is wanted; or the golden set that is named does not match.
    """
    home, site, topology = work.home, work.site, choice.topology
    records = {team: home.lab(team).load() for team in teams}
    new = [team for team, record in records.items() if record is None]
    if topology is None or choice.golden is not None or not new:
        return Rollout()
    golden = decisions.golden_for(site, topology, choice)
    supplies = Rollout()
    if golden is None and os.geteuid() == 0:  # others can neither build nor bake; `create` installs without baked disks
        wanted = _images(work, new[0], topology, choice.stage) & set(recipe.names())
        supplies = replace(_lacking(site, topology, wanted, choice.stage), bake=choice.stage == INSTALLED)
    forkable = golden is not None and bool(golden.memory) and not warm.obstacle(site, golden)
    if not once or choice.cold or not how.wait or forkable:
        return supplies
    begun = (team for team, record in records.items() if record and _begun(record, topology, choice.stage))
    origin = next(begun, new[0])
    forks = tuple(team for team in new if team != origin)
    return replace(supplies, origin=origin, forks=forks) if forks else supplies


def roll_out(work: Work, teams: Sequence[str], choice: Choice, how: Starting, *, once: bool = True) -> list[Created]:
    """Create the teams' labs, or complete them; see `create`. An interrupted run is continued by the same call.

    Args:
        once: where no golden set has memory for them, boot and capture one of many new labs, and fork the others.

    Raises:
        LabctlError: an image could not be built, disks not baked, a lab not made or not captured.
    """
    steps = planned(work, teams, choice, how, once=once)
    if choice.topology is not None:
        for remark in steps.remarks(choice.topology.name):
            work.progress.say(remark)
        work = _supply(work, choice.topology, steps)
    if not steps.origin:
        return create.create(work, teams, choice, how)
    if not how.overcommit:  # whether all of them fit is to be known before the first one boots
        decisions.decide(work, teams, choice, overcommit=False, held=None)
    done = create.create(work, [team for team in teams if team not in steps.forks], choice, how)
    began = time.monotonic()
    made = capture.capture(work.again(), steps.origin)
    work.progress.say(f"golden set {made.name} was captured from {steps.origin} in {time.monotonic() - began:.0f} s")
    done += create.create(work.again(), steps.forks, choice, how)
    return sorted(done, key=lambda lab: teams.index(lab.team))


def _begun(record: LabRecord, topology: Topology, stage: str) -> bool:
    """Whether an interrupted run left a lab that nobody can have worked in yet: it may still become the origin."""
    same = (record.digest, record.stage, record.bare, record.restoring) == (topology.digest, stage, (), "")
    stands = topology.nodes.keys() <= record.ready.keys() and (record.installed or stage != INSTALLED)
    return same and not stands


def _images(work: Work, team: str, topology: Topology, stage: str) -> set[str]:
    (plan,) = provisional.plans(work.home, [team], topology, stage=stage, host=work.site.name)
    return {node.image for node in plan.nodes}


def _lacking(site: Site, topology: Topology, wanted: Collection[str], stage: str) -> Rollout:
    """Say which of the recipes have to be built, and with which layers; those that an image has, it keeps."""
    there = site.images.images(site.volumes)
    needed: dict[str, set[str]] = {name: set() for name in wanted}
    if topology.openstack and stage == INSTALLED and topology.openstack.image in needed:
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
