"""Sabotages labs, heals them, and keeps the ledger: in the lab's state folder, for the organiser alone."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from labctl.checks.check import Subject, chosen
from labctl.checks.model import Report
from labctl.errors import InputError, LabctlError, RefusedError
from labctl.guest import Guest
from labctl.guest import Result as Ended
from labctl.guest.agent import AgentGuest
from labctl.lab import check, events, install, seen
from labctl.plan.model import LabPlan
from labctl.sabotage import draw, ledger
from labctl.sabotage.draw import Lot
from labctl.sabotage.engine import Engine, untouchable
from labctl.sabotage.fault import FAULTS, Drawn, Fault, Scene
from labctl.sabotage.ledger import OPEN, Entry, State
from labctl.site.together import Cancelled, GroupError
from labctl.site.work import Work
from labctl.state import Home, LabFolder, LabRecord, records

LEDGER = "sabotage.json"
TRIAL = "verify-"
"""How the seeds of trials begin, which `sabotage verify` tries."""


class Ledger:
    """A lab's injections, the oldest first; each write is on disk when it returns.

    Args:
        folder: the lab's.
    """

    def __init__(self, folder: LabFolder) -> None:
        self._folder = folder

    def entries(self, record: LabRecord | None = None) -> list[Entry]:
        """Return all injections; those whose nodes were reset meanwhile say so.

        Args:
            record: the lab's; it is read where none is given.

        Raises:
            LabctlError: the file is damaged.
        """
        text = self._folder.read(LEDGER)
        try:
            found = [Entry.of(document) for document in json.loads(text or "[]")]
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise self._folder.damaged(LEDGER, exc) from exc
        record = record or self._folder.load()
        return [ledger.aged(entry, record.generations if record else {}) for entry in found]

    def open(self, record: LabRecord | None = None) -> list[Entry]:
        """Return the injections of which something may be in the lab; see `entries`."""
        return [entry for entry in self.entries(record) if entry.state in OPEN]

    def save(self, entry: Entry) -> None:
        """Write an entry, in the place of the one with the same ID.

        Raises:
            RefusedError: it cannot be written.
        """
        others = {each.uid: each for each in self.entries()}
        others[entry.uid] = entry
        text = json.dumps([each.document() for each in others.values()], indent=1)
        try:
            self._folder.write(LEDGER, text)
            handle = os.open(self._folder.path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as exc:
            raise RefusedError(
                f"the ledger of {self._folder.path.name} cannot be written",
                details=f"{exc.strerror}: {self._folder.path / LEDGER}",
                remedy="Make the state folder writable. Nothing is broken without a record.",
            ) from exc


def plans_of(home: Home, teams: Sequence[str]) -> list[LabPlan]:
    """Return the plans of teams' labs.

    Raises:
        InputError: a team has no lab.
    """
    return [records.plan_of(records.record_of(home, team)) for team in teams]


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What labs get.

    Attributes:
        level: faults of this level alone; None draws among all.
        seed: the same word draws the same again; None draws one.
        same: whether every lab gets the same fault.
        ids: these faults, nothing is drawn.
        service: whose faults alone are wanted, by the name of its role; empty for all.
    """

    level: int | None = None
    seed: str | None = None
    same: bool = False
    ids: Sequence[str] = ()
    service: str = ""


def draw_lots(home: Home, plans: Sequence[LabPlan], how: Drawing, *, before: Sequence[Lot] = ()) -> list[Lot]:
    """Draw for labs, or take the faults that are named.

    Args:
        before: lots that were drawn before these and are not injected yet.

    Raises:
        InputError: nothing is left to draw, or there is no such fault.
    """
    seed = how.seed or uuid.uuid4().hex[:8]
    scenes = {plan.team: Scene(lab=plan, service=how.service) for plan in plans}
    teams = list(scenes)
    if how.ids:
        return [
            Lot(team=team, order=(FAULTS[name],), seed=f"{seed}/{team}", candidates=(), service=how.service)
            for team in teams
            for name in how.ids
        ]
    found = [
        {
            fault.id: fault
            for fault in draw.candidates(
                scene,
                level=how.level,
                taken=[*_taken(home, team), *(lot.order[0] for lot in before if lot.team == team)],
            )
        }
        for team, scene in scenes.items()
    ]
    common = [fault for name, fault in found[0].items() if all(name in each for each in found)]
    return draw.lots(teams, common, seed=seed, same=how.same, service=how.service)


def inject(work: Work, lot: Lot) -> Entry:
    """Inject what a team drew: green before, red after, and every node still lets us in.

    Raises:
        RefusedError: the lab is not green, or the ledger cannot be written; nothing was touched.
        LabctlError: no fault of the lot did what it says; the lab is as it was.
    """
    say = work.progress.say
    with records.locked(work.home, [lot.team]), _opened(work, lot.team) as (scene, engine, book):
        if stuck := [entry for entry in book.open() if entry.state is State.MAYBE]:
            raise RefusedError(
                f"an earlier sabotage of {lot.team} was interrupted",
                details=f"{stuck[0].fault}, {stuck[0].drawn_at}",
                remedy=f"labctl sabotage heal {lot.team}",
            )
        groups = {entry.group for entry in book.open()}
        covered = {name for entry in book.open() for name in entry.red}
        for fault in lot.order:
            if fault.group in groups:
                if len(lot.order) == 1:
                    raise RefusedError(
                        f"{fault.id} cannot be distinguished from a fault that is in the lab of {lot.team} already",
                        remedy=f"labctl sabotage heal {lot.team}",
                    )
                continue
            entry, drawn = prepare(scene, fault, lot, covered)
            say(f"{lot.team}: checking that all is green")
            entry = engine.green_before(entry, beside=bool(groups))
            book.save(entry)
            say(f"{lot.team}: injecting a fault, and checking that it shows")
            try:
                entry = engine.inject(entry, drawn)
            except InputError as exc:
                say(f"{lot.team}: the fault does not fit; another one is drawn")
                book.save(replace(entry, state=State.REVERTED, notes=(exc.brief,)))
                continue
            if entry.state is State.INJECTED:
                return entry
            if work.cancelled.is_set():
                raise Cancelled(f"{lot.team}: interrupted; what was changed is undone")
            say(f"{lot.team}: the fault did not turn its checks red and was undone; another one is drawn")
    raise LabctlError(
        f"{lot.team}: no fault had the effect that it describes",
        details=f"Tried: {', '.join(fault.id for fault in lot.order)}. The lab is as it was.",
        remedy=f"labctl check {lot.team}; labctl sabotage status {lot.team}",
    )


def prepare(scene: Scene, fault: Fault, lot: Lot, covered: Collection[str] = ()) -> tuple[Entry, Drawn]:
    """Draw a fault's node and parameters for a lab, and begin its entry.

    Args:
        covered: checks that are red already by what stands in the lab: they prove nothing.

    Raises:
        InputError: it does not fit the lab, or would touch a way in.
    """
    drawn = draw.drawn(fault, scene, lot)
    if why := untouchable(scene.lab, drawn):
        raise InputError(f"{fault.id} would touch {', '.join(why)}", remedy="No fault may touch a way into a node.")
    entry = ledger.new_entry(
        fault, drawn, uid=uuid.uuid4().hex[:8], seed=lot.seed, at=_now(), candidates=lot.candidates
    )
    red, green = ([name for name in names if name not in covered] for names in (entry.red, entry.green))
    return replace(entry, red=tuple(red), green=tuple(green)), drawn


def heal(work: Work, team: str, *, ids: Sequence[str] = (), quick: bool = False) -> tuple[list[Entry], Report]:
    """Undo what stands in a lab, the last first, then check it; what a team changed itself is left and said.

    Args:
        ids: faults; all when empty.
        quick: check only what can be checked without changing anything.

    Returns:
        What was undone, and the report of the checks.

    Raises:
        GroupError: a node cannot be reached by any way; the others are healed.
    """
    say = work.progress.say
    with records.locked(work.home, [team]), _opened(work, team) as (scene, engine, book):
        done: list[Entry] = []
        errors: list[LabctlError] = []
        for entry in book.entries():
            if entry.state is State.GONE:
                book.save(entry)
        say(f"{team}: undoing")
        left = [entry for entry in reversed(book.open()) if not ids or entry.fault in ids]
        for _ in range(2):  # one fault may stand in the way of another's undo
            errors, left, tried = [], [], left
            for entry in tried:
                try:
                    healed = engine.undo(entry, State.HEALED)
                except LabctlError as exc:  # others are healed all the same
                    errors.append(exc)
                    left.append(entry)
                    continue
                book.save(healed)
                events.healed(work.home, team, entry.uid, time.time())
                done.append(healed)
        if errors:
            raise GroupError(f"not everything in the lab of {team} could be healed", errors, remedy="")
        say(f"{team}: checking")
        wanted = [each.id for each in chosen(scene.lab.stage, quick=True)] if quick else []
        report = engine.checked(done, wanted)
        if not work.cancelled.is_set():
            seen.keep(work.home, report)
        return done, report


def unfinished(home: Home, teams: Sequence[str]) -> list[str]:
    """Return the teams whose labs may have what nobody wants there: a fault that was not proven, or was on trial."""
    return [
        team
        for team in teams
        if any(entry.state is State.MAYBE or entry.seed.startswith(TRIAL) for entry in Ledger(home.lab(team)).open())
    ]


def hint(home: Home, team: str) -> tuple[Entry, str] | None:
    """Take the next hint of a lab's oldest fault that has one left, and write down that it was taken.

    Raises:
        InputError: nothing stands in the lab.
    """
    with records.locked(home, [team]):
        book = Ledger(home.lab(team))
        entries = standing(home, team)
        for entry in entries:
            if entry.taken < len(entry.hints):
                book.save(replace(entry, taken=entry.taken + 1))
                return entry, entry.hints[entry.taken]
    return None


def standing(home: Home, team: str) -> list[Entry]:
    """Return what stands in a lab.

    Raises:
        InputError: nothing does.
    """
    records.record_of(home, team)
    found = Ledger(home.lab(team)).open()
    if not found:
        raise InputError(f"nothing is broken in the lab of {team}", remedy=f"labctl sabotage {team} --random")
    return found


@contextlib.contextmanager
def engine_of(work: Work, plan: LabPlan, lab: Subject, book: Ledger) -> Iterator[Engine]:
    """Yield what injects into a lab whose connections stand."""
    site, record = work.site, records.record_of(work.home, plan.team)
    never = threading.Event()  # whoever interrupts a sabotage wants it undone: an undo is not cancelled

    def agent(name: str) -> Guest:
        def inside(script: str, *, stdin: bytes, timeout: float) -> Ended:
            return site.hypervisor.run_inside(
                plan.node(name).uuid, script, stdin=stdin, timeout=timeout, cancelled=never
            )

        return AgentGuest(name, inside)

    def checked(ids: Sequence[str]) -> Report:
        return check.run(lab, chosen(plan.stage, tuple(ids)))

    machines = install.Machines(site, work.home.lab(plan.team), plan, never, site.pace.login)
    with contextlib.closing(machines):
        yield Engine(
            team=plan.team,
            guest=lab.guest,
            anew=machines,
            agent=agent,
            check=checked,
            save=book.save,
            generations=record.generations,
            virt=site.virt,
            cloud=check.administrator(work, plan, lab),
            cancelled=work.cancelled,
        )


@contextlib.contextmanager
def _opened(work: Work, team: str) -> Iterator[tuple[Scene, Engine, Ledger]]:
    plan = records.lab_of(work.home, team).plan
    book = Ledger(work.home.lab(team))
    with check.subject(work, plan) as lab, engine_of(work, plan, lab, book) as engine:
        yield Scene(lab=plan), engine, book


def _taken(home: Home, team: str) -> list[Fault]:
    return [FAULTS[entry.fault] for entry in Ledger(home.lab(team)).open() if entry.fault in FAULTS.names()]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
