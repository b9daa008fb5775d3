"""Captures running labs: golden sets that every team forks, and snapshots that one lab goes back to."""

from __future__ import annotations

import time
import uuid
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from labctl.cloud.cloud import Cloud
from labctl.errors import InputError, RefusedError
from labctl.images.golden import GOLDEN, SNAPSHOT, GoldenManifest
from labctl.images.store import check_name
from labctl.installing import passwords, probe
from labctl.installing.journal import Journal
from labctl.lab import hold, install, nodes, ready, sources, trouble, warm
from labctl.lab.images import now, sets_in_use
from labctl.lab.sources import SourcedLab
from labctl.plan.lab import INSTALLED
from labctl.plan.model import NodePlan
from labctl.site import room
from labctl.site.progress import Phase
from labctl.site.site import Site
from labctl.site.together import Cancelled
from labctl.site.work import Work
from labctl.state import records
from labctl.state.ledger import Ledger
from labctl.state.records import Lab

_GREETING = 20.0  # seconds that a node has to greet us

_WINDOW = 5.0  # seconds for which processors are watched


def capture(work: Work, team: str, name: str | None = None) -> GoldenManifest:
    """Make a golden set of a team's lab as it runs: disks and memory of all nodes at one moment. The lab goes on.

    Args:
        name: what to call the set; None calls it TOPOLOGY-STAGE.

    Raises:
        InputError: the team has no lab, or not every node of it is ready.
        RefusedError: nodes of it were reset to another stage.
        LabctlError: a probe does not hold, or something could not be written; nothing is left of the set then.
    """
    home = work.home
    with records.locked(home, [team]):
        hold.release(work, team)
        work = work.again()
        site = work.site
        lab = sources.lab_of(home, site, team)
        if lab.record.bare:
            raise RefusedError(
                f"{', '.join(lab.record.bare)} of {team} are at stage bare",
                remedy="Reset them to the lab's stage first.",
            )
        called = name or f"{lab.plan.topology}-{lab.record.stage}"
        check_name(called)
        with home.lock("golden", called):
            _check_ready(site, lab)
            probes = prove(work, lab)
            _rest(work, lab)
            manifest = _saved(work, lab, GOLDEN, called, probes)
            site.golden.seal(manifest, in_use=sets_in_use(home, site))
            hold.done(home, team)
    return manifest


def snapshot(work: Work, team: str, name: str) -> GoldenManifest:
    """Save a lab as it is, whatever works in it, to come back to. The lab goes on.

    Raises:
        InputError: the team has no lab, or not all of it runs.
        LabctlError: something could not be written; nothing is left of the snapshot then.
    """
    check_name(name)
    home = work.home
    with records.locked(home, [team]):
        hold.release(work, team)
        work = work.again()
        site = work.site
        lab = sources.lab_of(home, site, team)
        nodes.refuse_unfinished(site, lab.plan, lab.record, [node.name for node in lab.plan.nodes])
        trouble.refuse_down(site, lab.plan, lab.plan.nodes)
        manifest = _saved(work, lab, SNAPSHOT, f"{team}.{name}", ())
        ledger = Ledger(home.lab(team), lab.record)
        ledger.claim({*manifest.volumes, f"{manifest.stem}.json"})
        site.snapshots.seal(manifest)
        hold.done(home, team)
    return manifest


def prove(work: Work, lab: Lab) -> tuple[str, ...]:
    """See that every probe of an installed lab's roles holds; return what was seen. A bare lab has none."""
    if lab.record.stage != INSTALLED:
        return ()
    site = work.site
    known = install.ensure_secrets(work.home, site, lab)
    cloud = Cloud.of(lab.plan, known, slow=site.virt == "qemu", nested=lab.record.nested)
    probes = probe.probes(cloud)

    def ask(node: NodePlan) -> None:
        work.progress.node(lab.plan.team, node.name, Phase.PROVING)
        probe.ask(site, lab.plan, (each for each in probes if each.node == node.name), work.cancelled)

    work.together(
        (partial(ask, node) for node in lab.plan.nodes),
        jobs=len(lab.plan.nodes),
        brief=f"not everything works in the lab of {lab.plan.team}",
        remedy="A golden set is made of a lab that works. Repair or reset the nodes that are named.",
    )
    return tuple(f"{each.node}: {each.what}" for each in probes)


def _rest(work: Work, lab: Lab) -> None:
    """Wait until the nodes are at rest: what services have not done of their start, every fork would have to do.

    A lab that works all the time is captured all the same.
    """
    site = work.site
    deadline = time.monotonic() + site.pace.rest
    nodes = {node.name: node.uuid for node in lab.plan.nodes}
    said = ""
    while True:
        began, before = time.monotonic(), {name: site.hypervisor.processor_time(uuid) for name, uuid in nodes.items()}
        if work.cancelled.wait(_WINDOW):
            raise Cancelled("the capture was cancelled")
        window = time.monotonic() - began
        used = {name: (site.hypervisor.processor_time(uuid) - before[name]) / window for name, uuid in nodes.items()}
        busy = sorted(name for name, share in used.items() if share > site.pace.idle)
        if not busy:
            return
        if time.monotonic() > deadline:
            work.progress.say(f"{', '.join(busy)} of {lab.plan.team} are not at rest; captured as they are")
            return
        if (line := f"waiting until {', '.join(busy)} of {lab.plan.team} are at rest") != said:
            work.progress.say(line)
            said = line


def _saved(work: Work, lab: SourcedLab, kind: str, name: str, probes: tuple[str, ...]) -> GoldenManifest:
    home, site = work.home, work.site
    folder, plan, record = home.lab(lab.plan.team), lab.plan, lab.record
    base = lab.images[plan.nodes[0].image]
    journal = Journal(folder.path / install.JOURNAL, record.generations).done()
    made = GoldenManifest(
        kind=kind,
        name=name,
        id=uuid.uuid4().hex[:12],
        topology=plan.topology,
        digest=plan.digest,
        stage=record.stage,
        image=lab.golden.image if lab.golden else base.volume,
        os_info=base.manifest.os_info,
        created=now(),
        disks={},
        secrets=passwords.load(folder),
        done=tuple(journal),
        concerns={key: nodes for key, nodes in journal.items() if nodes} if kind == SNAPSHOT else {},
        spec=record.topology,
        machine=warm.machine_of(site),
        probes=probes,
        nested=record.nested,
        bare=record.bare,
        installed=record.installed,
    )
    with ExitStack() as reserved:
        # Nodes are off while their disks are copied, and come back: nobody is to take their room meanwhile.
        room.reserve(home, site, [plan], overcommit=True, held=reserved)
        held = hold.save(work, lab, made.stem)
    return replace(made, disks=held.disks, memory=held.memory)


def _check_ready(site: Site, lab: SourcedLab) -> None:
    """Refuse a lab of which any node was never seen ready, or does not answer now."""
    trouble.refuse_down(site, lab.plan, lab.plan.nodes)
    never = [node.name for node in lab.plan.nodes if lab.record.ready.get(node.name) != node.generation]
    silent = never or [node.name for node in lab.plan.nodes if not ready.answers(site, node, timeout=_GREETING)]
    if silent or (lab.record.stage == INSTALLED and not lab.record.installed):
        raise InputError(
            f"the lab of {lab.plan.team} is not ready",
            details=f"Not ready: {', '.join(silent) or 'its cloud'}.",
            remedy=f"labctl create {lab.plan.team} completes it.",
        )
