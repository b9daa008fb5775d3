"""Takes a lab back to a snapshot of its own."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial

from labctl.errors import RefusedError
from labctl.lab import create, demolition, events, nodes
from labctl.lab.decisions import Starting
from labctl.plan.lab import INSTALLED
from labctl.rounds.events import Reset
from labctl.sets import hold, snapshots, sources, store
from labctl.sets.manifest import GoldenManifest
from labctl.site import room
from labctl.site.progress import Phase
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.state import Home, records
from labctl.state.ledger import Ledger
from labctl.state.records import Lab


def restore(work: Work, team: str, name: str, *, overcommit: bool = False) -> None:
    """Give a whole lab back as it was when the snapshot was saved, running. What came later is lost.

    An interrupted run is finished by the same command, or by `create`.

    Raises:
        InputError: the lab has no such snapshot.
        CapacityError: nodes are off, and the host has not enough of something any more.
        LabctlError: a node could not be brought back.
    """
    home = work.home
    with ExitStack() as held:
        with hold.locked(work, [team]) as work:
            site = work.site
            lab = sources.lab_of(home, site, team)
            nodes.refuse_foreign(site, [lab])
            saved = snapshots.find(home, site, team, name)
            demolition.refuse_used(site, lab.plan, lab.plan.nodes)
            for remark in room.reserve(home, site, [lab.plan], overcommit=overcommit, held=held):
                work.progress.say(remark)
            _take_down(work, lab, saved)
        # What is left to do is what create does: the nodes are missing, and the record tells what they come from.
        create.create(work.again(), [team], how=Starting(overcommit=True))


def remove(home: Home, site: Site, team: str, name: str) -> None:
    """Remove a snapshot.

    Raises:
        InputError: the lab has no such snapshot.
        RefusedError: the lab is being taken back to it.
    """
    with records.locked(home, [team]):
        saved = snapshots.find(home, site, team, name)
        record = records.record_of(home, team)
        if record.restoring == saved.id:
            raise RefusedError(
                f"the lab of {team} has an unfinished restore of snapshot {name}",
                remedy=f"labctl create {team} completes the restore.",
            )
        store.snapshots(site).remove(saved.id)
        gone = {*saved.volumes, f"{saved.stem}.json"}
        Ledger(home.lab(team), record).change(volumes=tuple(name for name in record.volumes if name not in gone))


def _take_down(work: Work, lab: Lab, saved: GoldenManifest) -> None:
    """Write down that all nodes are to come from a snapshot, and remove what stands of them."""
    team = lab.plan.team
    ledger = Ledger(work.home.lab(team), lab.record)
    # A snapshot from before the cloud came up takes the lab back to before that.
    installed = lab.record.installed and saved.stage == INSTALLED if saved.installed is None else saved.installed
    ledger.renew(
        [node.name for node in lab.plan.nodes],
        stage=saved.stage,
        installed=installed,
        bare=lab.record.bare if saved.installed is None else saved.bare,
        nested=dict(saved.nested),
        chapter=saved.chapter,
        reached=saved.chapter,
        restoring=saved.id,
    )
    events.during(work.home, team, Reset(at=time.time(), nodes=tuple(node.name for node in lab.plan.nodes), whole=True))
    for node in lab.plan.nodes:
        work.progress.node(team, node.name, Phase.STOPPING)
    work.together(
        [partial(nodes.remove_node, work.site, ledger, node) for node in lab.plan.nodes],
        brief="not every node could be removed",
        remedy=f"labctl create {team} completes the restore.",
    )
