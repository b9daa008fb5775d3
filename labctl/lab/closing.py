"""Closes rounds, and checks labs for scores. A repair must hold in two checks, and once more after a restart."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from labctl.checks.check import CHECKS
from labctl.checks.model import Verdict
from labctl.errors import LabctlError
from labctl.lab import check, events, many, rounds
from labctl.lab.many import Batch
from labctl.lab.rounds import Seat
from labctl.lab.sabotage import Ledger, engine_of
from labctl.rounds import points
from labctl.rounds.events import Checked, Closed, Injected, Restarted
from labctl.site.together import Cancelled
from labctl.site.work import Work
from labctl.state import Home, records


def look(batch: Batch, some: Sequence[Seat]) -> None:
    """Run the checks of a round in labs whose clock has started and whose round is open; the results are recorded."""
    labs = [seat.lab for seat in some if seat.state in ("running", "paused")]

    def one(work: Work, team: str) -> None:
        work.progress.say(f"{team}: checking")
        check.in_round(work, team, rounds.named(work.home, team))

    many.each(batch, labs, one).check()


def close(batch: Batch, some: Sequence[Seat], *, checks: bool) -> None:
    """End rounds. Where checks are wanted, they run first, again as soon as what looks mended must still be green, and
    once more when the units that the faults touched were restarted.

    A round whose clock has not started just ends. One that was interrupted here goes on, and is closed by the next run.

    Raises:
        LabctlError: a lab cannot be checked; its round is not closed.
    """
    by_lab = {seat.lab: seat for seat in some}

    def one(work: Work, team: str) -> None:
        if checks and by_lab[team].state != "preparing":
            _last_look(work, team)
        events.append(work.home, team, Closed(at=time.time()))

    many.each(batch, list(by_lab), one).check()


def _last_look(work: Work, team: str) -> None:
    home, cancelled, say = work.home, work.cancelled, work.progress.say
    named = rounds.named(home, team)
    say(f"{team}: checking")
    check.in_round(work, team, named)
    seconds = points.pending(events.played(home, team), _seat(home, team).rules)
    if seconds > 0 and not cancelled.is_set():
        say(f"{team}: checking again in {seconds:.0f} s")
        cancelled.wait(seconds)
        check.in_round(work.again(), team, named)
    if cancelled.is_set():
        raise Cancelled("interrupted")
    seat = _seat(home, team)
    score = seat.score()
    won = [fault.slot for fault in score.faults if fault.repaired_at is not None] if score else []
    if won:
        say(f"{team}: restarting what was touched, and checking")
        faults, _ = points.faults_of(seat.events)
        last = next(event for event in reversed(seat.events) if isinstance(event, Checked)).verdicts
        mended = [
            replace(fault, green=tuple(name for name in fault.green if last.get(name) == str(Verdict.PASS)))
            for fault in faults
            if fault.slot in won
        ]
        _restart(work, team, mended)


def _restart(work: Work, team: str, mended: Sequence[Injected]) -> None:
    """Restart the units that faults had restarted, and see whether what was green of their checks stays so."""
    home = work.home
    plan = records.lab_of(home, team).plan
    book = Ledger(home.lab(team))
    entries = {entry.uid: entry for entry in book.entries()}
    wanted = sorted({name for fault in mended for name in (*fault.red, *fault.green)})
    with check.subject(work.again(), plan) as lab, engine_of(work, plan, lab, book) as engine:
        lost = set()
        for fault in mended:
            try:
                engine.restart(entries[fault.entry])
            except LabctlError as exc:
                work.progress.say(f"{team}: {exc.brief}")
                lost.add(fault.slot)
        report = check.run(lab, [CHECKS[name] for name in wanted])
    now = time.time()
    seen = events.run_of(report, now)
    for fault in mended:
        held = fault.slot not in lost and points.green(fault, seen)
        events.append(home, team, Restarted(at=now, slot=fault.slot, held=held))


def _seat(home: Home, team: str) -> Seat:
    """Return the place of the round that goes on in a lab, as it is now."""
    return next(seat for seat in rounds.going_on(home) if seat.lab == team)
