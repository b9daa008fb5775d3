"""Suspends a whole lab, writes its disks and memory into volumes, and resumes it.

A node is off while its disks are copied. Then it is restored from the file with its memory. A note in the lab's folder
names the volumes of an unfinished run. If a run was killed, the next command that changes the lab resumes the lab.

The note has two states. While the lab is suspended, nodes that are off are restored from the files. Before the first
node is resumed, the note is rewritten: from then on the files are older than the lab, and may only be deleted.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

from labctl.errors import CapacityError, DamagedError, HypervisorError
from labctl.hypervisor import State, memory
from labctl.hypervisor.memory import Head
from labctl.plan.model import DiskPlan, NodePlan
from labctl.render import identity, xml
from labctl.sets import store
from labctl.sets.manifest import GoldenDisk, GoldenMemory, disk_key
from labctl.site import networks
from labctl.site.progress import Phase, Progress
from labctl.site.site import Site
from labctl.site.work import Work
from labctl.sizes import size
from labctl.state import Home, records
from labctl.state.records import Lab

NOTE = "saving.json"

_STEM = re.compile(r"(golden|snapshot)-[a-z0-9.-]+-[0-9a-f]{12}")
# What is written to disk need not be in memory, and pages that are free in one piece are given back to the host.
_CALM = "modprobe virtio_balloon; sync; echo 3 >/proc/sys/vm/drop_caches; echo 1 >/proc/sys/vm/compact_memory; sleep 4"


@dataclass(frozen=True, kw_only=True)
class Held:
    """What was written: disks by node, or NODE/DEVICE for data disks; memory by node."""

    disks: dict[str, GoldenDisk]
    memory: dict[str, GoldenMemory]


def save(work: Work, lab: Lab, stem: str) -> Held:
    """Write a running lab's disks and memory into new volumes, all of them as they were at one moment.

    Until the caller calls `done`, after sealing the set, the volumes count as those of an unfinished run.

    Args:
        stem: how the names of the volumes begin.

    Raises:
        CapacityError: the pool has too little room; nothing was done.
        LabctlError: a part could not be written. The lab goes on, and the volumes are gone.
    """
    home, site, plan, team = work.home, work.site, lab.plan, lab.plan.team
    _check_room(site, lab)
    run = partial(
        work.together,
        brief=f"{team} could not be saved",
        remedy=f"labctl status {team} shows its state.",
    )

    def calm(node: NodePlan) -> None:
        seconds = site.pace.agent
        site.hypervisor.run_inside(node.uuid, _CALM, timeout=seconds, cancelled=work.cancelled)

    run((partial(calm, node) for node in plan.nodes), jobs=len(plan.nodes))
    _note(home, team, stem, held=True)
    heads: dict[str, Head] = {}
    hashes: dict[str, str] = {}
    try:
        run((partial(site.hypervisor.suspend_domain, node.uuid) for node in plan.nodes), jobs=len(plan.nodes))
        run(partial(_save_node, site, lab, node, stem, heads, hashes, work.progress) for node in plan.nodes)
    except BaseException:
        _release(replace(work, cancelled=threading.Event()), team)
        raise
    _note(home, team, stem, held=False)
    _resume(work, lab)
    work.progress.say(f"{team} continues; its parts are being hashed")
    return _described(site.again(), lab, stem, heads, hashes, run=run)


@contextlib.contextmanager
def locked(work: Work, teams: Sequence[str]) -> Iterator[Work]:
    """Hold the locks of labs, resume those that a killed run left suspended, and give the work with nothing listed yet.

    What was listed before the locks were held may be old.

    Raises:
        LockedError: another process works on one of them.
    """
    with records.locked(work.home, teams):
        for team in teams:
            _release(work, team)
        yield work.again()


def _release(work: Work, team: str) -> bool:
    """Resume a lab that a killed run left suspended; return whether there was such a run.

    Nodes that are off are restored from their files, unless the lab was resumed since. The unfinished volumes are
    deleted.
    """
    home, note = work.home, _noted(work.home, team)
    if note is None:
        return False
    work.progress.say(f"an earlier run that saved {team} was interrupted; its suspended nodes are resumed")
    now = work.site.again()
    lab = records.lab_of(home, team)
    if note.held:
        run = partial(work.together, brief=f"not every node of {team} was resumed")
        remedy = f"labctl start {team} tries again."
        # The host may have been restarted.
        run((partial(networks.make, now, lab.plan, network) for network in lab.plan.networks), remedy=remedy)
        run((partial(_wake, now, node, note.stem, work.progress) for node in lab.plan.nodes), remedy=remedy)
        _note(home, team, note.stem, held=False)
    _resume(work.again(), lab)
    forget(home, now.again(), team)
    return True


def done(home: Home, team: str) -> None:
    """Remove the note of a save whose set is sealed."""
    home.lab(team).remove_file(NOTE)


def forget(home: Home, site: Site, team: str) -> None:
    """Delete what a killed run has written of a lab, unless its set was sealed; the lab itself is not touched."""
    note = _noted(home, team)
    if note is None:
        return
    whole = {each.stem for sets in (store.golden(site), store.snapshots(site)) for each in sets.every(site.volumes)}
    if note.stem and note.stem not in whole:
        for volume in site.volumes:
            if volume.startswith(f"{note.stem}-") or volume == f"{note.stem}.json":
                site.hypervisor.remove_volume(site.pool.name, volume)
    done(home, team)


def memory_volume(stem: str, node: NodePlan) -> str:
    """Return the name of the volume with a node's memory."""
    return f"{stem}-{node.name}.memory"


def disk_volume(stem: str, node: NodePlan, disk: DiskPlan) -> str:
    """Return the name of the volume with a copy of a node's disk."""
    return f"{stem}-{disk_key(node, disk).replace('/', '-')}.qcow2"


@dataclass(frozen=True, kw_only=True)
class _Note:
    """What a run that saves a lab is about to do to it.

    Attributes:
        stem: how the names of the volumes begin that it writes.
        held: whether no node has gone on yet, so that the files are the lab's newest state.
    """

    stem: str
    held: bool


def _noted(home: Home, team: str) -> _Note | None:
    """Return the note of a run that ended early; one that cannot be read promises nothing and names no volumes."""
    try:
        text = home.lab(team).read(NOTE)
        if text is None:
            return None
        values = json.loads(text)
        stem, held = values["stem"], values.get("held", False)
    except (DamagedError, ValueError, KeyError, TypeError, AttributeError):
        stem, held = "", False
    sound = isinstance(stem, str) and _STEM.fullmatch(stem) is not None
    return _Note(stem=stem, held=held is True) if sound else _Note(stem="", held=False)


def _note(home: Home, team: str, stem: str, *, held: bool) -> None:
    home.lab(team).write(NOTE, json.dumps(asdict(_Note(stem=stem, held=held))))


def _check_room(site: Site, lab: Lab) -> None:
    disks = [disk.volume for node in lab.plan.nodes for disk in node.disks]
    need = sum(site.volumes[volume].allocation for volume in disks)
    need += sum(node.memory for node in lab.plan.nodes) * 1024**2
    if need > (left := site.room().available):
        raise CapacityError(
            f"saving {lab.plan.team} may need {size(need)}, the pool has {size(left)}",
            remedy="Free some disk space: labctl golden list, labctl snapshot list, labctl image list.",
        )


def _save_node(
    site: Site,
    lab: Lab,
    node: NodePlan,
    stem: str,
    heads: dict[str, Head],
    hashes: dict[str, str],
    progress: Progress,
) -> None:
    """Write a suspended node's memory, copy its disks, and restore it, suspended."""
    pool, name = site.pool.name, memory_volume(stem, node)
    made = site.hypervisor.create_volume(pool, xml.volume_xml(name, "raw", 0))
    site.hypervisor.save_domain(node.uuid, made.path)
    heads[node.name] = Head.parse(site.hypervisor.download(pool, name, memory.MOST))
    for disk in node.disks:
        target = xml.volume_xml(disk_volume(stem, node, disk), "raw", 0)
        hashes[disk_key(node, disk)] = site.hypervisor.copy_volume(pool, disk.volume, target)
    site.hypervisor.restore_domain(made.path)
    progress.node(lab.plan.team, node.name, Phase.SAVED)


def _wake(site: Site, node: NodePlan, stem: str, progress: Progress) -> None:
    """Start a node that a killed run left off: from its memory if that is complete and newest, else by booting.

    Somebody may have started the node by other means; then its disks are newer. A node that cannot be started stays
    off, and `start` or `reset` reports why.
    """
    domain = site.domains.get(node.domain)
    written = site.volumes.get(memory_volume(stem, node))
    if domain is None or domain.state.active or written is None:
        return None
    disks = [site.volumes[disk.volume] for disk in node.disks if disk.volume in site.volumes]
    newer = [disk.name for disk in disks if disk.modified > written.modified]
    why = f"{', '.join(newer)} was written to after its memory" if newer else ""
    try:
        Head.parse(site.hypervisor.download(site.pool.name, written.name, memory.MOST))
        if not newer:
            return site.hypervisor.restore_domain(written.path)
    except HypervisorError as exc:
        why = f"{exc.brief}: {exc.details}"
    progress.say(f"{node.domain} boots instead: {why}")
    try:
        return site.hypervisor.start_domain(node.uuid, paused=True)
    except HypervisorError as exc:
        return progress.say(f"{node.domain} is off: {exc.brief}: {exc.details}")


def _resume(work: Work, lab: Lab) -> None:
    site = work.site
    site.share(lab.plan)  # nodes that were saved have started anew

    def resume(node: NodePlan) -> None:
        domain = site.hypervisor.domain(node.uuid)
        if domain is not None and domain.state is State.PAUSED:
            site.hypervisor.resume_domain(node.uuid)
            # It slept while its parts were written.
            seconds = site.pace.agent
            site.hypervisor.run_inside(node.uuid, identity.CLOCK, timeout=seconds, cancelled=work.cancelled)
            work.progress.node(lab.plan.team, node.name, Phase.RESTORED)

    work.together(
        (partial(resume, node) for node in lab.plan.nodes),
        jobs=max(work.jobs, len(lab.plan.nodes)),
        brief=f"not every node of {lab.plan.team} was resumed",
        remedy=f"labctl create {lab.plan.team} tries again.",
    )


def _described(
    site: Site,
    lab: Lab,
    stem: str,
    heads: Mapping[str, Head],
    hashes: Mapping[str, str],
    *,
    run: Callable[..., None],
) -> Held:
    """Look at the volumes, and hash the memory."""
    memory: dict[str, GoldenMemory] = {}

    def remembered(node: NodePlan) -> None:
        facts, head = site.volumes[memory_volume(stem, node)], heads[node.name]
        hashed = hashlib.sha256()
        site.hypervisor.fetch(site.pool.name, facts.name, hashed.update, offset=head.length)
        memory[node.name] = GoldenMemory(
            volume=facts.name,
            size=facts.allocation,
            sha256=hashed.hexdigest(),
            document=head.document,
            cookie=head.cookie,
            room=head.room,
        )

    run(partial(remembered, node) for node in lab.plan.nodes)
    disks = {}
    for node in lab.plan.nodes:
        for disk in node.disks:
            facts, key = site.volumes[disk_volume(stem, node, disk)], disk_key(node, disk)
            disks[key] = GoldenDisk(
                volume=facts.name, size=facts.allocation, virtual_size=facts.capacity, sha256=hashes[key]
            )
    return Held(disks=disks, memory={node.name: memory[node.name] for node in lab.plan.nodes})
