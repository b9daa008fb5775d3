"""Takes a lab back to a snapshot of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial

from labctl.errors import InputError
from labctl.images.golden import GoldenManifest
from labctl.lab import begin, create, hold, install, nodes, room, warm
from labctl.lab.nodes import Ledger
from labctl.lab.progress import Phase, Progress
from labctl.lab.site import Site
from labctl.lab.work import together
from labctl.plan.lab import INSTALLED
from labctl.state import Home


def every(home: Home, site: Site, team: str) -> list[GoldenManifest]:
    """Return the snapshots of a team's lab, the oldest first.

    Raises:
        InputError: the team has no lab.
    """
    own = set(begin.record_of(home, team).volumes)
    return [each for each in site.snapshots.every(site.volumes) if own.issuperset(each.volumes)]


def label(snapshot: GoldenManifest) -> str:
    """Return what its lab calls a snapshot."""
    return snapshot.name.partition(".")[2]


def restore(
    home: Home,
    site: Site,
    team: str,
    name: str,
    *,
    overcommit: bool = False,
    jobs: int,
    progress: Progress,
    cancelled: threading.Event,
) -> None:
    """Give a whole lab back as it was when the snapshot was saved, running. What came later is lost.

    An interrupted run is finished by the same command.

    Raises:
        InputError: the lab has no such snapshot.
        CapacityError: nodes are off, and the host has not enough of something any more.
        LabctlError: a node could not be brought back.
    """
    with begin.locked(home, [team]), ExitStack() as held:
        hold.release(home, site, team, jobs=jobs, progress=progress, cancelled=cancelled)
        site = site.again()
        lab = begin.recorded(home, site, team)
        begin.refuse_foreign(site, [lab])
        saved = find(home, site, team, name)
        if obstacle := warm.obstacle(site, saved):
            progress.say(f"{obstacle}; the nodes boot instead")
        for remark in room.reserve(home, site, [lab.plan], overcommit=overcommit, held=held):
            progress.say(remark)
        folder = home.lab(team)
        ledger = Ledger(folder, lab.record)
        names = [node.name for node in lab.plan.nodes]
        # A snapshot from before the cloud came up takes the lab back to before that.
        installed = lab.record.installed and saved.stage == INSTALLED if saved.installed is None else saved.installed
        bare = lab.record.bare if saved.installed is None else saved.bare
        ledger.renew(names, stage=saved.stage, installed=installed, bare=bare, nested=dict(saved.nested))
        for node in lab.plan.nodes:
            progress.node(team, node.name, Phase.STOPPING)
        together(
            [partial(nodes.remove_node, site, ledger, node) for node in lab.plan.nodes],
            jobs=jobs,
            cancelled=cancelled,
            brief="not every node could be taken down",
            remedy=f"labctl snapshot restore -t {team} {name} tries again.",
        )
        site = site.again()
        now = begin.recorded(home, site, team)
        create.rebuild(home, site, now, saved, jobs=jobs, progress=progress, cancelled=cancelled)
        # Not before the disks are back that it speaks of: a run that ends early leaves a journal whose nodes are gone.
        folder.write(install.JOURNAL, journal(saved, now.record.generations))


def journal(saved: GoldenManifest, generations: Mapping[str, int]) -> str:
    """Return the installer's journal of a lab that was taken back to a snapshot: what was done by then."""
    entries = ([key, {node: generations.get(node, 0) for node in saved.concerns.get(key, ())}] for key in saved.done)
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def remove(home: Home, site: Site, team: str, name: str) -> None:
    """Remove a snapshot.

    Raises:
        InputError: the lab has no such snapshot.
    """
    with begin.locked(home, [team]):
        saved = find(home, site, team, name)
        site.snapshots.remove(saved.id)
        record = begin.record_of(home, team)
        gone = {*saved.volumes, f"{saved.stem}.json"}
        Ledger(home.lab(team), record).change(volumes=tuple(name for name in record.volumes if name not in gone))


def find(home: Home, site: Site, team: str, name: str) -> GoldenManifest:
    """Return a lab's snapshot of that name.

    Raises:
        InputError: the lab has none.
    """
    known = {label(each): each for each in every(home, site, team)}
    if name not in known:
        raise InputError(
            f"the lab of {team} has no snapshot {name}",
            details=f"It has {', '.join(known)}." if known else "It has none.",
            remedy=f"labctl snapshot save -t {team} NAME",
        )
    return known[name]
