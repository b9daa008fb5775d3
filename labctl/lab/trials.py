"""One fault on a living lab, from green to green: what it says, its repairs, a cheat, its undo."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from labctl.changes import Context
from labctl.changes.kinds import KINDS
from labctl.checks.check import chosen
from labctl.checks.model import Report, Verdict
from labctl.errors import DeadlineError, LabctlError
from labctl.lab import events, opening, rounds
from labctl.lab.sabotage import TRIAL, Ledger, prepare
from labctl.pace import pace
from labctl.rounds import trial
from labctl.rounds.events import Injected
from labctl.sabotage import tutorial
from labctl.sabotage.draw import Lot
from labctl.sabotage.engine import REPORTS, Engine
from labctl.sabotage.fault import Drawn, Fault, Scene, Typed
from labctl.sabotage.ledger import Entry, State
from labctl.sabotage.matrix import Verified
from labctl.site.together import Cancelled

_REPAIRS = {"repair": "the reference repair", "alternative": "the alternative repair"}
_LINES = 15  # of what a learner sees, the last
_PATIENCE = 3.0  # times what a removal may take: a server is made, attached, and removed
_EARLY = "its trial ended early"
_RESTARTS = 5  # how often a trial restarts what a fault does: to break, by a cheat, to mend, and to heal
_SILENCES = 2  # how often it waits until a service is taken for dead, or alive again: broken, and mended
_FOUND = 50  # percent of a fault's points for finding it; what is more is for its repair


class _Broken(LabctlError):  # noqa: N818 - it ends one fault's trial
    """A fault does not do what it says."""


class Trial:
    """One fault, from green to green.

    Attributes:
        report: of the last checks; None before.
    """

    def __init__(
        self,
        scene: Scene,
        engine: Engine,
        book: Ledger,
        what: tuple[Fault, str],
        cancelled: threading.Event,
    ) -> None:
        self._cancelled = cancelled
        self._scene, self._engine, self._book = scene, engine, book
        self._fault, self._variant = what
        self._seed = f"{TRIAL}{uuid.uuid4().hex[:6]}"
        self._seconds: dict[str, float] = {}
        self._injected: list[Entry] = []
        self._red: tuple[str, ...] = ()  # what it turned red when it was proven
        self.report: Report | None = None
        self._points: dict[str, int] = {}
        self._lesson = tutorial.lesson(self._fault.id, self._variant)

    @property
    def name(self) -> str:
        """The fault, and its variant where it has some."""
        return f"{self._fault.id} {self._variant}".strip()

    @property
    def names(self) -> tuple[str, ...]:
        """The checks that must be green before it."""
        entry, _ = self._prepare()
        return (*entry.red, *entry.green)

    @property
    def turn(self) -> tuple[int, float]:
        """What puts trials in order: most faults are tried early, and those with the same checks side by side.

        Which variant it is, and how long its checks, its restarts and its silences may take, in seconds of emulated
        nodes.
        """
        entry, drawn = self._prepare()
        checks, own = chosen(self._scene.lab.stage, (*entry.red, *entry.green)), pace("qemu")
        restarts = _RESTARTS * sum(len(each.restart) for each in drawn.breaks)
        silences = _SILENCES if REPORTS & set(entry.red) else 0
        seconds = sum(each.limit[1] for each in checks) + restarts * own.settles + silences * own.silent
        return self._fault.variants.index(self._variant), seconds

    def run(self, known: Report | None = None, ahead: Sequence[str] = ()) -> Verified:
        """Try it; the lab is healed whatever comes out.

        Args:
            known: what checks said a moment ago; what was green then is not asked again.
            ahead: checks of the next fault: the last question of this one is the first one of that.
        """
        entry, drawn = self._prepare()
        seen = Verified(
            fault=self._fault.id,
            level=self._fault.level,
            virt=self._engine.virt,
            topology=self._scene.lab.topology,
            node=drawn.node,
            variant=self._variant,
        )
        try:
            if (known is None or not self._good(known, self.names)) and not self._becomes_green(entry):
                self._engine.green_before(entry)  # which says what is red
            entry = self._inject()
            seen = replace(seen, red=dict(entry.symptoms))
            self._red = tuple(sorted(entry.symptoms))
            seen = replace(seen, meets=self._met())
            if drawn.cheat:
                self._type(drawn.cheat)
                green = self._green(entry)
                self._score("cheat", entry, held=True)
                seen = replace(seen, cheat=not green)
                if green or self._points["cheat"] > _FOUND:
                    raise _Broken("the cheat counts as a repair")
                entry = self._engine.again(entry)
            self._repaired(entry, "repair", drawn.repair)
            if drawn.alternative:
                entry = self._engine.again(entry)
                self._repaired(entry, "alternative", drawn.alternative)
                seen = replace(seen, alternative=True)
            entry = self._engine.again(entry)
            began = time.monotonic()
            self._healed(entry)
            if self._lesson is not None and self._lesson.after and seen.meets:
                self._shell(self._lesson.user, self._lesson.after)
            self._seconds["heal"] = round(time.monotonic() - began, 1)
            if not self._becomes_green(entry, ahead=ahead):
                raise _Broken(f"it is not green after the heal: {self._trouble}")
        except LabctlError as exc:
            self._clear()
            if not self._cancelled.is_set():
                self._becomes_green(entry)  # the next fault shall find no service that is still starting
            lines = [exc.brief, *exc.details.splitlines()]
            seen = replace(seen, trouble=": ".join(lines[:2]))
        return replace(seen, seconds=self._seconds, points=self._points)

    def _prepare(self) -> tuple[Entry, Drawn]:
        lot = Lot(
            team=self._scene.lab.team,
            order=(self._fault,),
            seed=self._seed,
            candidates=(),
            service=self._scene.service,
        )
        return prepare(self._scene, self._fault, lot)

    def _inject(self) -> Entry:
        entry, drawn = self._prepare()
        entry = self._engine.inject(entry, drawn)
        if entry.state is not State.INJECTED:
            raise _Broken(entry.notes[0] if entry.notes else "it was reverted")
        self._seconds |= entry.seconds
        self._injected = [entry]
        return entry

    def _met(self) -> dict[str, str]:
        """Type what a learner types who meets one of the tutorial's eleven until it shows; return it and what comes."""
        lesson, said = self._lesson, ""
        if lesson is None:
            return {}

        def shows() -> bool:
            nonlocal said
            said = "\n".join(self._shell(lesson.user, lesson.types).splitlines()[-_LINES:])
            return lesson.shows in said

        self._engine.becomes(shows, self._red)
        return {lesson.types: said}

    def _shell(self, user: str, line: str) -> str:
        """Type a line on a node where a user of the cloud has logged in; return all that comes until it is late."""
        seconds = pace(self._engine.virt).removal * _PATIENCE
        came: list[str] = []
        try:
            self._engine.guest(self._scene.lab.nodes[0].name).run(
                f". /root/{user}-openrc; {{ {line}; }} 2>&1", timeout=seconds, check=False, on_output=came.append
            )
        except DeadlineError:
            came.append(f"(after {seconds:.0f} seconds it is still waiting)")
        return "\n".join(came)

    def _repaired(self, entry: Entry, kind: str, typed: Sequence[Typed]) -> None:
        """Type a repair: green, also after a restart of what was touched, and worth all points in a round.

        Args:
            kind: repair, or alternative.
        """
        what = _REPAIRS[kind]
        began = time.monotonic()
        self._type(typed)
        if not self._becomes_green(entry):
            raise _Broken(f"{what} does not repair it: {self._trouble}")
        self._seconds["repair"] = round(time.monotonic() - began, 1)
        units = [unit for _, record in entry.records for unit in record.restart]
        if units := [unit for unit in units if not any(each.restarts(unit) for each in typed)]:
            self._engine.restart(entry)
            if not self._becomes_green(entry):
                raise _Broken(f"{what} is lost when these are restarted: {', '.join(units)}: {self._trouble}")
        self._score(kind, entry, held=True)
        if self._points[kind] < 100:
            raise _Broken(f"{what} is worth {self._points[kind]} percent of the points")

    def _score(self, kind: str, entry: Entry, *, held: bool) -> None:
        """Note what a round would give for what the last checks said, to a team that has found the fault."""
        assert self.report is not None
        verdicts = events.run_of(self.report, 0).verdicts
        fault = Injected(
            at=2,
            fault=entry.fault,
            slot=1,
            level=entry.level,
            entry=entry.uid,
            red=self._red,
            nodes=(entry.node,),
            services=(rounds.plain(entry.service),),
            green=tuple(sorted(opening.names(self.report, entry.green))),
        )
        self._points[kind] = trial.percent(fault, verdicts, held=held)

    def _healed(self, entry: Entry) -> None:
        """Heal as the command does: everything is as it was, to the byte and the nanosecond.

        The time of a folder is that of whoever last made a file in it, checks too.
        """
        self._book.save(self._engine.undo(entry, State.HEALED))
        for node, record in entry.records:
            now = KINDS[record.kind].look(self._context(node), record.target)
            exact = record.kind in ("file", "drop-in", "unit", "card") and now.get("kind") != "folder"
            if not KINDS[record.kind].same(now, record.before) or (exact and now != record.before):
                raise _Broken(f"{record.target} is not as it was: {_differs(now, record.before)}")

    def _clear(self) -> None:
        """Leave no half trial behind: the lab is ours while it is tried, whoever changed what."""
        if not restore(self._engine, self._book, self._seed):  # a heal that leaves something is one that failed
            for entry in self._injected:
                self._engine.restore(entry, _EARLY)

    def _green(self, entry: Entry, *, ahead: Sequence[str] = ()) -> bool:
        """Check what the fault names.

        Args:
            ahead: checks that are asked as well, and of which nothing is expected.
        """
        ids = [*entry.red, *entry.green]
        self.report = self._engine.check([*ids, *ahead])
        if self._cancelled.is_set():
            raise Cancelled("interrupted")
        return self._good(self.report, ids)

    def _good(self, report: Report, ids: Sequence[str]) -> bool:
        """Whether a report has all checks of some IDs, and they are green."""
        said = {result.name: result.verdict for result in report.results}
        wanted = [each.id for each in chosen(self._scene.lab.stage, tuple(ids))]
        return all(said.get(name) in (Verdict.PASS, Verdict.SKIPPED) for name in wanted)

    @property
    def _trouble(self) -> str:
        return self.report.trouble if self.report else ""

    def _becomes_green(self, entry: Entry, *, ahead: Sequence[str] = ()) -> bool:
        return self._engine.becomes(partial(self._green, entry, ahead=ahead), entry.red)

    def _type(self, typed: Sequence[Typed]) -> None:
        seconds = pace(self._engine.virt).repair
        for each in typed:
            self._engine.guest(each.node).run(each.line, timeout=seconds, check=False)

    def _context(self, node: str) -> Context:
        return self._engine.context(self._engine.guest(node))


def restore(engine: Engine, book: Ledger, seed: str) -> list[Entry]:
    """Restore what trials left whose seeds begin so, the last first; return it."""
    halves = [entry for entry in reversed(book.open()) if entry.seed.startswith(seed)]
    for entry in halves:
        engine.restore(entry, _EARLY)
    return halves


def _differs(now: dict[str, Any], before: dict[str, Any]) -> str:
    return ", ".join(f"{key} {before.get(key)} -> {now.get(key)}" for key in before if now.get(key) != before[key])
