"""Looks at all teams at once, for pages that many people watch: states, hands, rounds. No node is asked."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from datetime import datetime

from labctl.errors import DamagedError, InputError
from labctl.lab import access, hands, notices, overview, rounds, seen
from labctl.lab.hands import Hand
from labctl.lab.notices import Notice
from labctl.lab.rounds import Seat
from labctl.lab.sabotage import Ledger
from labctl.plan.lab import BARE, stage_name
from labctl.rounds.events import Checked, HintTaken, Reported, Reset
from labctl.rounds.points import Clock
from labctl.state import Home, LabRecord, records

_BAD = {"FAIL", "ERROR"}


@dataclass(frozen=True, kw_only=True)
class NodeView:
    """One node.

    Attributes:
        state: libvirt's word, `absent`, `foreign`, or `unknown` where the host does not answer.
        addresses: those in the lab's networks, by network.
    """

    name: str
    state: str
    addresses: dict[str, str]
    roles: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RoundView:
    """How far a team's round is, without spoilers.

    Attributes:
        state: preparing, running, paused or closed.
        left: seconds of play.
        idle: seconds of play since points were last won; for the organiser alone.
        red: checks that were red when they last ran; for the organiser alone.
    """

    id: str
    state: str
    left: float
    hints: int
    reports: int
    resets: int
    idle: float
    red: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ChecksView:
    """What checks of a lab said last, in a round or outside of one.

    Attributes:
        at: when they ran last, seconds since 1970.
        red: those that were red when they ran last.
    """

    at: float
    red: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TeamView:
    """One team.

    Attributes:
        lab: the team whose lab it works on: its own, but in a round after a swap; empty where there is none.
        stage: bare, installed, or after:glance where the chapters up to Glance are installed.
        trouble: why nothing is known of the lab.
        checks: of the lab, for the organiser alone; None where none ever ran.
        faults: what was broken on purpose and may still be, for the organiser alone.
        round: None where it does not play.
        hand: None where it is down.
    """

    team: str
    lab: str
    topology: str
    stage: str
    nodes: tuple[NodeView, ...]
    trouble: str
    checks: ChecksView | None
    faults: tuple[str, ...]
    round: RoundView | None
    hand: Hand | None

    @property
    def running(self) -> int:
        """How many nodes run."""
        return sum(node.state == "running" for node in self.nodes)


@dataclass(frozen=True, kw_only=True)
class Classroom:
    """All teams that have a lab or access.

    Attributes:
        teams: by name.
        seats: places of the round that was opened last; none where there was none.
        notices: what teams are told, the newest first.
        at: seconds since 1970 when it was seen.
    """

    teams: dict[str, TeamView] = field(default_factory=dict)
    seats: tuple[Seat, ...] = ()
    notices: tuple[Notice, ...] = ()
    at: float = 0.0

    @property
    def stuck_first(self) -> list[TeamView]:
        """The teams for whoever wants to help: raised hands, the longest first, then those without progress."""
        return sorted(self.teams.values(), key=_urgency)


def look(home: Home) -> Classroom:
    """Look at everything once. One host that does not answer does not hide the others."""
    now = time.time()
    lines = {line.team: line for line in overview.labs(home) if line.record is None or not line.record.waits}
    up = hands.raised(home)
    try:
        seats = rounds.seats(home)
    except InputError:
        seats = []
    playing = {seat.player: seat for seat in seats}
    names = sorted({*lines, *playing, *(each.team for each in access.every(home))})
    teams = {}
    for team in names:
        seat = playing.get(team)
        lab = seat.lab if seat is not None and seat.state != "closed" else team
        teams[team] = _team(home, team, lines.get(lab), seat, up.get(team), now)
    return Classroom(teams=teams, seats=tuple(seats), notices=tuple(notices.standing(home)), at=now)


def _team(
    home: Home, team: str, line: overview.LabLine | None, seat: Seat | None, hand: Hand | None, now: float
) -> TeamView:
    record = line.record if line is not None else None
    plan = records.plan_of(record) if record is not None else None
    states = line.states if line is not None else ()
    nodes = tuple(
        NodeView(
            name=node.name,
            state=states[number] if number < len(states) else "unknown",
            addresses={nic.network: str(nic.address) for nic in node.nics if nic.address is not None},
            roles=node.roles,
        )
        for number, node in enumerate(plan.nodes if plan is not None else ())
    )
    return TeamView(
        team=team,
        lab=line.team if line is not None else "",
        topology=plan.topology if plan is not None else "",
        stage=_stage(record) if record is not None else "",
        nodes=nodes,
        trouble=line.trouble if line is not None else "",
        checks=_checks(home, line.team, seat) if line is not None else None,
        faults=_faults(home, record) if record is not None else (),
        round=_round(seat, now) if seat is not None else None,
        hand=hand,
    )


def _stage(record: LabRecord) -> str:
    """Return the stage of a lab; of a bare one into which chapters were installed, the last of these: after:glance."""
    return stage_name(record.stage, (record.reached or record.chapter) if record.stage == BARE else "")


def _checks(home: Home, lab: str, seat: Seat | None) -> ChecksView | None:
    """Return what was kept of the last checks, or what the round says where that is newer."""
    found = [_checked(event) for event in seat.events[::-1] if isinstance(event, Checked)][:1] if seat else []
    with contextlib.suppress(DamagedError, ValueError):  # labctl check, which writes it anew, says what is damaged
        kept = seen.last(home, lab)
        if kept.checked:
            found.append(ChecksView(at=datetime.fromisoformat(kept.checked).timestamp(), red=tuple(kept.red)))
    return max(found, key=lambda each: each.at, default=None)


def _faults(home: Home, record: LabRecord) -> tuple[str, ...]:
    """Return the faults of a lab in words; where they cannot be read, that."""
    try:
        return tuple(f"{entry.fault}: {entry.title}" for entry in Ledger(home.lab(record.team)).open(record))
    except DamagedError as exc:
        return (exc.brief,)


def _checked(event: Checked) -> ChecksView:
    return ChecksView(at=event.at, red=tuple(name for name, verdict in event.verdicts.items() if verdict in _BAD))


def _round(seat: Seat, now: float) -> RoundView:
    kinds = [type(event) for event in seat.events]
    checks = [event for event in seat.events if isinstance(event, Checked)]
    score = seat.score()
    played = Clock(seat.events)(now)
    return RoundView(
        id=seat.opened.round,
        state=seat.state,
        left=seat.left(now),
        hints=kinds.count(HintTaken),
        reports=kinds.count(Reported),
        resets=kinds.count(Reset),
        idle=max(0.0, min(played, seat.opened.minutes * 60) - (score.improved if score is not None else 0.0)),
        red=_checked(checks[-1]).red if checks else (),
    )


def _urgency(team: TeamView) -> tuple[float, float, str]:
    waiting = team.hand.at if team.hand is not None else float("inf")
    playing = team.round is not None and team.round.state == "running"
    return (waiting, -(team.round.idle if playing and team.round is not None else 0.0), team.team)
