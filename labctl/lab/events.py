"""Keeps the events of rounds: append-only JSON lines in each lab's state folder, for the organiser alone.

Nothing is recorded outside of rounds.
"""

from __future__ import annotations

from dataclasses import replace

from labctl.checks.model import Report
from labctl.rounds import events
from labctl.rounds.events import Checked, Event, Healed, Injected
from labctl.state import MOMENT, Home

FILE = "events.jsonl"


def every(home: Home, team: str) -> tuple[Event, ...]:
    """Return all events of a lab, the oldest first.

    Raises:
        InputError: a line of the file is no event.
    """
    folder = home.lab(team)
    return events.read(folder.read(FILE) or "", str(folder.path / FILE))


def append(home: Home, team: str, *happened: Event) -> None:
    """Record events; they are on disk when this returns. Their times never go backwards, even if the clock does.

    Raises:
        CapacityError: the file system is full.
    """
    with home.lock("events", team, wait=MOMENT):
        last = max((event.at for event in every(home, team)), default=0.0)
        lines = [events.line(replace(event, at=max(last, event.at))) for event in happened]
        home.lab(team).append(FILE, "".join(f"{line}\n" for line in lines))


def played(home: Home, team: str) -> tuple[Event, ...]:
    """Return the events of the round that goes on in a lab, from its opening; none where none does."""
    found = events.last_round(every(home, team))
    return () if events.closed(found) else found


def during(home: Home, team: str, happened: Event) -> None:
    """Record an event, if the lab is in a round."""
    if played(home, team):
        append(home, team, happened)


def checked(home: Home, team: str, report: Report, at: float, *, baseline: bool = False) -> None:
    """Record the results of checks, if the lab is in a round."""
    during(home, team, run_of(report, at, baseline=baseline))


def run_of(report: Report, at: float, *, baseline: bool = False) -> Checked:
    """Return what checks said as an event; a check with parts speaks for each of them."""
    verdicts = {result.name: str(result.verdict) for result in report.results}
    return Checked(at=at, verdicts=dict(sorted(verdicts.items())), baseline=baseline)


def healed(home: Home, team: str, entry: str, at: float) -> None:
    """Record that the organiser healed the fault of this ledger entry, if it belongs to a round."""
    for event in played(home, team):
        if isinstance(event, Injected) and event.entry == entry:
            append(home, team, Healed(at=at, slot=event.slot))
