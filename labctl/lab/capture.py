"""Captures running labs: golden sets that every team forks, and snapshots that one lab goes back to."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from labctl.cloud.cloud import Cloud
from labctl.errors import InputError, RefusedError
from labctl.images.store import check_name
from labctl.installing import passwords, probe
from labctl.installing.journal import Journal
from labctl.installing.tasks import before, everywhere
from labctl.lab import healthy, install, nodes, ready, trouble
from labctl.plan.lab import INSTALLED, stage_name
from labctl.plan.model import NodePlan
from labctl.sets import capture as sets
from labctl.sets import hold, sources, store
from labctl.sets.capture import CloudState
from labctl.sets.manifest import GOLDEN, SNAPSHOT, GoldenManifest
from labctl.sets.sources import SourcedLab
from labctl.site.progress import Phase
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.state.ledger import Ledger
from labctl.state.records import Lab

_GREETING = 20.0  # seconds that a node has to greet us


def capture(work: Work, team: str, name: str | None = None, *, until: str | None = None) -> GoldenManifest:
    """Make a golden set of a team's lab as it runs: disks and memory of all nodes at one moment. The lab continues.

    From now on its nodes are reset to that moment.

    Args:
        name: what to call the set; None calls it TOPOLOGY-STAGE.
        until: the last role; a bare lab is installed up to it first. None takes the lab as it stands.

    Raises:
        InputError: the team has no lab, or not every node of it is ready; or its cloud has no such role.
        RefusedError: nodes of it were reset to another stage, or the lab stands after a later chapter.
        LabctlError: a probe does not hold, or something could not be written; nothing is left of the set then.
    """
    home = work.home
    with hold.locked(work, [team]) as work:
        site = work.site
        lab = sources.lab_of(home, site, team)
        if lab.record.bare:
            raise RefusedError(
                f"{', '.join(lab.record.bare)} of {team} are at stage bare",
                remedy="Reset them to the lab's stage first.",
            )
        _check_until(lab, until)
        chapter = until or lab.record.reached
        called = name or f"{lab.plan.topology}-{stage_name(lab.record.stage, chapter).replace(':', '-')}"
        check_name(called)
        with home.lock("golden", called):
            _check_ready(site, lab)
            if until:
                install.proceed(work, lab, until=until)
                lab = sources.lab_of(home, site, team)
            probes = prove(work, lab, chapter)
            sets.rest(work, lab.plan)
            manifest = sets.save(work, lab, GOLDEN, called, _cloud(work, lab, chapter, probes))
            store.golden(site).seal(manifest, in_use=store.in_use(home, site))
            ledger = Ledger(home.lab(team), lab.record)
            ledger.change(captured=manifest.id, cold=False, chapter=chapter, reached=chapter)
            hold.done(home, team)
    return manifest


def snapshot(work: Work, team: str, name: str) -> GoldenManifest:
    """Save a lab as it is, whether it works or not, to go back to it later. The lab continues.

    Raises:
        InputError: the team has no lab, or not all of it runs.
        LabctlError: something could not be written; nothing is left of the snapshot then.
    """
    check_name(name)
    home = work.home
    with hold.locked(work, [team]) as work:
        site = work.site
        lab = sources.lab_of(home, site, team)
        nodes.refuse_unfinished(site, lab.plan, lab.record, [node.name for node in lab.plan.nodes])
        trouble.refuse_down(site, lab.plan, lab.plan.nodes)
        manifest = sets.save(work, lab, SNAPSHOT, f"{team}.{name}", _cloud(work, lab, lab.record.chapter))
        ledger = Ledger(home.lab(team), lab.record)
        ledger.claim({*manifest.volumes, f"{manifest.stem}.json"})
        store.snapshots(site).seal(manifest)
        hold.done(home, team)
    return manifest


def prove(work: Work, lab: Lab, chapter: str = "") -> tuple[str, ...]:
    """Check that every probe of an installed lab's roles holds; return what was proven. A bare lab has no probes.

    Args:
        chapter: the last role whose probes are meant, where the cloud is not whole.
    """
    if lab.record.stage != INSTALLED and not chapter:
        return ()
    site = work.site
    known = install.ensure_secrets(work.home, site, lab)
    cloud = Cloud.of(lab.plan, known, slow=site.virt == "qemu", nested=lab.record.nested)
    probes = probe.probes(cloud, until=chapter or None)

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


def _cloud(work: Work, lab: Lab, chapter: str, probes: tuple[str, ...] = ()) -> CloudState:
    """Return what a set keeps of a lab's cloud."""
    folder = work.home.lab(lab.plan.team)
    done = Journal(folder.path / install.JOURNAL, lab.record.generations).done()
    canary = healthy.canary(folder)
    return CloudState(
        secrets=passwords.load(folder),
        done=done,
        probes=probes,
        chapter=chapter,
        canary=asdict(canary) if canary else {},
        times={what: tuple(each) for what, each in healthy.times(folder).items()},
    )


def _check_until(lab: Lab, until: str | None) -> None:
    """Refuse a chapter that a lab is past."""
    record = lab.record
    roles = {role for node in lab.plan.nodes for role in node.roles} | everywhere()
    past = record.stage == INSTALLED or (record.reached and until in before(record.reached, roles))
    if until is not None and past:
        raise RefusedError(
            f"the lab of {lab.plan.team} is past {until}: it stands at stage {record.stage_name}"
            + (f", and is installed up to {record.reached}" if record.reached else ""),
            remedy=f"Take a lab that is not: labctl create TEAM, then labctl golden capture TEAM --until {until}",
        )


def _check_ready(site: Site, lab: SourcedLab) -> None:
    """Refuse a lab of which any node was never seen ready, or does not answer now."""
    trouble.refuse_down(site, lab.plan, lab.plan.nodes)
    never = [node.name for node in lab.plan.nodes if lab.record.ready.get(node.name) != node.generation]
    silent = never or [node.name for node in lab.plan.nodes if not ready.answers(site, node, timeout=_GREETING)]
    if silent or not lab.record.stands:
        raise InputError(
            f"the lab of {lab.plan.team} is not ready",
            details=f"Not ready: {', '.join(silent) or 'its cloud'}.",
            remedy=f"labctl create {lab.plan.team} completes it.",
        )
