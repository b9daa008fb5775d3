"""Plays a team that knows all: it reports what the ledger says, types the reference repair, and gets all points."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.lab import check, rounds
from labctl.lab.rounds import Diagnosis, Seat
from labctl.lab.sabotage import Ledger
from labctl.rounds.points import FaultPoints
from labctl.site.work import Work
from labctl.spec.scoring import Rules
from labctl.state import Home, records

_PARTS = ("detect", "localise", "repair", "lasting")


def report(home: Home, seat: Seat) -> None:
    """Report what a team that knows all would report."""
    entries = {entry.uid: entry for entry in Ledger(home.lab(seat.lab)).entries()}
    for fault in seat.faults.values():
        entry = entries[fault.entry]
        rounds.report(home, seat.player, Diagnosis(service=entry.service, node=entry.node, symptom=fault.red[0]))


def repair(work: Work, team: str) -> None:
    """Type the reference repair of what stands in a lab."""
    with check.subject(work, records.lab_of(work.home, team).plan) as lab:
        for entry in Ledger(work.home.lab(team)).open():
            for node, line in entry.repair:
                lab.guest(node).run(line, timeout=work.site.pace.repair, check=False)


def missed(seat: Seat, *, repaired: bool) -> Iterator[str]:
    """Say what a team should have got and has not, or has got and should not have."""
    score = seat.score()
    if score is None:
        return
    for fault in score.faults:
        parts = [name for name in _PARTS if _should(fault, name, seat.rules, repaired) != getattr(fault, name)]
        if parts:
            yield f"{seat.lab}: {fault.fault} does not score as it should: {', '.join(parts)}"
    if score.broken or score.wrong or score.downtime:
        red = ", ".join(score.broken) or "nothing"
        yield f"{seat.lab}: a repair by the book cost points: {red} red, {score.wrong} for a wrong diagnosis"


def _should(fault: FaultPoints, part: str, rules: Rules, repaired: bool) -> int:
    """Return what a part of a fault should bring."""
    share: int = getattr(rules.shares, part)
    return round(fault.base * share / 100) if repaired or part in ("detect", "localise") else 0
