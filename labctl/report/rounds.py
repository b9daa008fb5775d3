"""Rounds and scores as tables and documents: what organisers, teams and the public may see. Field names: json.md."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labctl import quoting
from labctl.lab.rounds import Seat
from labctl.report.table import table
from labctl.rounds import events, points, standings
from labctl.rounds.events import HintTaken, Reported, Reset
from labctl.rounds.points import FaultPoints, Score
from labctl.rounds.standings import TIES, Standing
from labctl.spec.scoring import Rules

_PARTS = ("detect", "localise", "repair", "lasting")


@dataclass(frozen=True, kw_only=True)
class Board:
    """Scores of a round as somebody may see them.

    Attributes:
        view: whose eyes they are for.
        closed: whether play is over; before, only the organiser may see what was right.
        frozen: the moment at which they stand still, seconds since 1970; None where they do not.
        standings: of those who are shown, each with its place among all.
        seats: by player.
    """

    round: str
    view: str
    closed: bool
    frozen: float | None
    standings: tuple[Standing, ...]
    seats: dict[str, Seat]

    @property
    def whole(self) -> bool:
        """Whether everything may be seen."""
        return self.view == "organiser"

    @property
    def detailed(self) -> bool:
        """Whether it may be seen what points were for: during play that would tell which diagnosis is right."""
        return self.whole or (self.view == "team" and self.closed and self.frozen is None)


def board(seats: Sequence[Seat], players: Sequence[str], view: str, rules: Rules | None = None) -> Board:
    """Return scores as somebody may see them, each with its place among all who play."""
    moments = [points.frozen(seat.events) for seat in seats]
    frozen = min((moment for moment in moments if moment is not None), default=None)
    now = None if view == "organiser" else frozen
    scores: list[Score] = [score for seat in seats if (score := seat.score(rules=rules, now=now)) is not None]
    return Board(
        round=seats[0].opened.round,
        view=view,
        closed=all(events.closed(seat.events) for seat in seats),
        frozen=frozen,
        standings=tuple(each for each in standings.ranked(scores) if not players or each.score.player in players),
        seats={seat.player: seat for seat in seats},
    )


def status(seats: Sequence[Seat], now: float) -> str:
    """Return how far rounds are, without spoilers: not even how much is broken."""
    rows = [
        [
            seat.player,
            seat.lab,
            seat.state,
            f"{seat.left(now) / 60:.0f} of {seat.opened.minutes} min",
            _count(seat, HintTaken),
            _count(seat, Reported),
            _count(seat, Reset),
        ]
        for seat in seats
    ]
    heading = f"Round {', '.join(sorted({seat.opened.round for seat in seats}))}:"
    return f"{heading}\n\n" + table(["TEAM", "LAB OF", "STATE", "LEFT", "HINTS", "REPORTS", "RESETS"], rows)


def status_document(seat: Seat, now: float) -> dict[str, Any]:
    """Return how far a team's round is as a document without spoilers."""
    return {
        "round": seat.opened.round,
        "team": seat.player,
        "lab": seat.lab,
        "state": seat.state,
        "opened": _moment(seat.opened.at),
        "minutes": seat.opened.minutes,
        "seconds_left": round(seat.left(now)),
        "hints": _count(seat, HintTaken),
        "reports": _count(seat, Reported),
        "resets": _count(seat, Reset),
    }


def document(board: Board) -> dict[str, Any]:
    """Return scores as a document."""
    return {
        "round": board.round,
        "view": board.view,
        "closed": board.closed,
        "frozen": _moment(board.frozen) if board.frozen is not None else None,
        "ties": TIES,
        "teams": [_team(board, standing) for standing in board.standings],
    }


def text(board: Board) -> str:
    """Return scores as people read them."""
    lines = [_heading(board), ""]
    if not board.whole:
        rows = [[each.place, each.score.player, each.score.total] for each in board.standings]
        lines.append(table(["PLACE", "TEAM", "POINTS"], rows))
    else:
        wide = [
            [
                each.place,
                each.score.player,
                board.seats[each.score.player].lab,
                each.score.total,
                each.score.drill,
                -each.score.wrong,
                -each.score.collateral,
                -each.score.downtime,
                ", ".join(each.score.broken) or "-",
                f"{each.score.improved / 60:.0f} min",
            ]
            for each in board.standings
        ]
        head = ["PLACE", "TEAM", "LAB OF", "POINTS", "DRILL", "WRONG", "BROKEN", "OUTAGES", "BROKEN CHECKS", "LAST WIN"]
        lines.append(table(head, wide))
    faults = [_fault_row(board, each, fault) for each in board.standings for fault in each.score.faults]
    if board.detailed and faults:
        head = ["TEAM", "FAULT", "WORTH", *(part.upper() for part in _PARTS), "HINTS", "RESETS", "POINTS"]
        lines += ["", table(head, faults)]
    return "\n".join(lines)


def csv_text(board: Board) -> str:
    """Return scores as CSV, a line a team; what a view may not see has no column."""
    rows = [_team(board, standing) for standing in board.standings]
    names = [name for name in (rows[0] if rows else {}) if name not in ("faults", "broken")]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().rstrip("\n")


def junit(board: Board) -> str:
    """Return scores as JUnit's XML: a suite a team, a case for all points, and one for each part of each fault."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for each in board.standings:
        cases = [(f"points: {each.score.total}", bool(each.score.total))]
        if board.detailed:
            cases += [
                (f"{_name(board, fault)}: {part}", bool(getattr(fault, part)))
                for fault in each.score.faults
                for part in _PARTS
            ]
        team = quoting.xml(each.score.player)
        failures = sum(not won for _, won in cases)
        lines.append(f'  <testsuite name="{team}" tests="{len(cases)}" failures="{failures}">')
        for name, won in cases:
            head = f'    <testcase classname="{team}" name="{quoting.xml(name)}"'
            lines += [f"{head}/>"] if won else [f"{head}>", '      <failure message="no points"/>', "    </testcase>"]
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>"])


def ctftime(board: Board) -> dict[str, Any]:
    """Return the feed that ctftime.org reads from scoreboards: https://ctftime.org/json-scoreboard-feed."""
    slots = sorted({fault.slot for each in board.standings for fault in each.score.faults}) if board.detailed else []
    standings = []
    for each in board.standings:
        entry: dict[str, Any] = {"pos": each.place, "team": each.score.player, "score": each.score.total}
        if board.detailed:
            entry["taskStats"] = {
                f"fault {fault.slot}": {"points": fault.total, "time": round(fault.repaired_at or 0)}
                for fault in each.score.faults
            }
        standings.append(entry)
    return {"tasks": [f"fault {slot}" for slot in slots], "standings": standings}


def _team(board: Board, standing: Standing) -> dict[str, Any]:
    score = standing.score
    found: dict[str, Any] = {"place": standing.place, "team": score.player, "points": score.total}
    if board.view == "public":
        return found
    found |= {"hints": score.hints, "resets": score.resets, "seconds": round(score.seconds)}
    if board.detailed:
        found |= {
            "lab": board.seats[score.player].lab,
            "improved_seconds": round(score.improved),
            "drill": score.drill,
            "wrong": score.wrong,
            "collateral": score.collateral,
            "downtime": score.downtime,
            "broken": list(score.broken),
            "faults": [_fault(board, fault) for fault in score.faults],
        }
    return found


def _fault(board: Board, fault: FaultPoints) -> dict[str, Any]:
    sealed = {"fault": fault.fault, "level": fault.level} if board.whole else {}
    return {
        "number": fault.slot,
        **sealed,
        "worth": fault.base,
        **{part: getattr(fault, part) for part in _PARTS},
        "hints": fault.hints,
        "resets": fault.resets,
        "repaired_seconds": None if fault.repaired_at is None else round(fault.repaired_at),
        "points": fault.total,
    }


def _fault_row(board: Board, standing: Standing, fault: FaultPoints) -> list[object]:
    parts = [getattr(fault, part) for part in _PARTS]
    return [
        standing.score.player,
        _name(board, fault),
        fault.base,
        *parts,
        -fault.hints,
        -fault.resets,
        fault.total,
    ]


def _name(board: Board, fault: FaultPoints) -> str:
    """Return what a fault may be called: only organisers see its ID."""
    return f"fault {fault.slot} ({fault.fault})" if board.whole else f"fault {fault.slot}"


def _heading(board: Board) -> str:
    state = "closed" if board.closed else "going on"
    frozen = f", frozen at {_moment(board.frozen)}" if board.frozen is not None else ""
    return f"Round {board.round}, {state}{frozen}. Ties: {TIES}."


def _count(seat: Seat, kind: type) -> int:
    return sum(isinstance(event, kind) for event in seat.events)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().isoformat(timespec="seconds")
