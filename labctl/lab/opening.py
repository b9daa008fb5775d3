"""Opens rounds: checks, then faults, then the clock, which starts for all teams at the same moment."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random

from labctl.checks.model import Report, Verdict
from labctl.errors import LabctlError, RefusedError
from labctl.lab import check, events, many, rounds, sabotage
from labctl.lab.many import Batch
from labctl.lab.sabotage import Drawing, Ledger
from labctl.rounds import standings
from labctl.rounds.events import Checked, Injected, Opened, Started
from labctl.sabotage import draw
from labctl.sabotage.draw import Lot
from labctl.sabotage.fault import Scene
from labctl.sabotage.ledger import Entry
from labctl.site.together import Cancelled, GroupError
from labctl.site.work import Work
from labctl.spec import scoring
from labctl.spec.scoring import Rules
from labctl.state import Home, records


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a round is to be.

    Attributes:
        teams: who plays; their labs are played on.
        ids: the faults that everybody gets; empty where they are drawn.
        count: how many are drawn for each lab.
        drill: that nothing is broken. A draw comes to that by itself now and then.
        level: of the faults that are drawn; None for any.
        seed: the same word draws the same again.
        same: whether every lab gets the same faults.
        swap: whether teams work on one another's labs.
    """

    teams: tuple[str, ...]
    ids: tuple[str, ...] = ()
    count: int = 1
    drill: bool = False
    level: int | None = None
    seed: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    same: bool = False
    minutes: int = 45
    swap: bool = False
    rules: Rules = field(default_factory=Rules)

    @property
    def labs(self) -> dict[str, str]:
        """Player to the team whose lab it works on.

        Raises:
            InputError: one team alone cannot swap.
        """
        if self.swap:
            return standings.swapped(self.teams, Random(f"{self.seed}/swap").randrange(2**32))  # noqa: S311
        return {team: team for team in self.teams}


def lots(home: Home, setup: Setup) -> list[Lot]:
    """Return what each lab would get, turn after turn; nothing if a drill is drawn.

    Raises:
        InputError: a team has no lab, there is no such fault, or nothing is left to draw.
    """
    found: list[Lot] = []
    for turn in range(_turns(home, setup)):
        found += _drawn(home, setup, turn, before=found)
    return found


def open_round(batch: Batch, setup: Setup) -> list[rounds.Seat]:
    """Open a round on teams' labs: run its checks, inject the faults, run the checks again, start the clock.

    Raises:
        InputError: see `lots`.
        RefusedError: a round goes on, or something stands in one of the labs already; nothing was touched.
        GroupError: a lab could not be broken; the clock has not started for anybody.
    """
    home = batch.home
    labs, name, turns = setup.labs, uuid.uuid4().hex[:6], _turns(home, setup)
    if turns:
        _drawn(home, setup, 0, before=())  # what cannot be drawn is refused before anything begins
    with records.locked(home, setup.teams):
        _refuse(home, setup.teams)
        count = turns * max(1, len(setup.ids))
        announced = scoring.document_of(setup.rules)
        for player, lab in labs.items():
            opened = Opened(
                at=time.time(), round=name, minutes=setup.minutes, player=player, faults=count, rules=announced
            )
            events.append(home, lab, opened)
    try:
        many.each(batch, setup.teams, partial(_baseline, lots(home, setup))).check()
        for turn in range(turns):
            drawn = _drawn(home, setup, turn, before=())
            many.each(batch, setup.teams, partial(_break, drawn)).check()
    except LabctlError as exc:
        teams = " ".join(setup.teams)
        raise GroupError(
            "the round was not begun: its clock has not started for anybody",
            [exc],
            remedy=f"labctl round close {teams}; labctl sabotage heal {teams}",
        ) from exc
    some = rounds.going_on(home, setup.teams)
    rounds.write(home, some, lambda now: Started(at=now))
    return rounds.going_on(home, setup.teams)


def names(report: Report, words: Iterable[str]) -> set[str]:
    """Return the checks that ran and that these words mean: C03 is all its parts, C03:glance is one of them."""
    wanted = set(words)
    return {result.name for result in report.results if {result.id, result.name} & wanted}


def _turns(home: Home, setup: Setup) -> int:
    """Return how many times is drawn: not once in a drill, which is one lot more among the faults of the pool."""
    plans = sabotage.plans_of(home, setup.teams)
    if setup.drill:
        return 0
    if setup.ids:
        return 1
    if setup.level is None:
        pool = max(len(draw.candidates(Scene(lab=plan))) for plan in plans)
        if Random(f"{setup.seed}/drill").randrange(pool + 1) == 0:  # noqa: S311 - reproducible, not secret
            return 0
    return setup.count


def _drawn(home: Home, setup: Setup, turn: int, before: Sequence[Lot]) -> list[Lot]:
    return sabotage.draw_lots(
        home,
        sabotage.plans_of(home, setup.teams),
        Drawing(
            level=setup.level,
            seed=f"{setup.seed}#{turn}" if turn else setup.seed,
            same=setup.same,
            ids=setup.ids,
        ),
        before=before,
    )


def _refuse(home: Home, teams: Sequence[str]) -> None:
    """Refuse labs in which a round goes on or something is broken, and teams that play elsewhere."""
    rounds.refuse_played(home, teams)
    if busy := [team for team in teams if rounds.seat_of(home, team)]:
        raise RefusedError(
            f"{', '.join(busy)} plays in another round", remedy=f"labctl round close {' '.join(busy)} ends it."
        )
    if broken := [team for team in teams if Ledger(home.lab(team)).open()]:
        raise RefusedError(
            f"something is broken in the lab of {', '.join(broken)} already",
            remedy=f"labctl sabotage heal {' '.join(broken)}",
        )


def _baseline(expected: Sequence[Lot], work: Work, team: str) -> None:
    """See what is green before anything is broken, also of what the faults name that will probably be injected."""
    work.progress.say(f"{team}: checking, before anything is broken")
    scene = Scene(lab=records.lab_of(work.home, team).plan)
    entries = [sabotage.prepare(scene, lot.order[0], lot)[0] for lot in expected if lot.team == team]
    named = {name for entry in entries for name in (*entry.red, *entry.green)}
    report = check.in_round(work, team, named, baseline=True)
    _refuse_cancelled(work)
    if red := [result.name for result in report.results if result.red]:
        work.progress.say(f"{team}: red before anything was broken; this costs no points: {', '.join(red)}")


def _break(drawn: Sequence[Lot], work: Work, team: str) -> None:
    """Inject what a lab drew, and write down all that it turned red."""
    for lot in drawn:
        if lot.team == team:
            entry = sabotage.inject(work, lot)
            named = {*entry.red, *entry.green, *rounds.named(work.home, team)}
            report = check.in_round(work, team, named)
            _refuse_cancelled(work)
            events.append(work.home, team, _injected(work.home, team, entry, report))


def _injected(home: Home, team: str, entry: Entry, report: Report) -> Injected:
    """Return what is to be known of a fault: who blames whom by its checks is right, besides what it is called."""
    so_far = events.played(home, team)
    runs = [event.verdicts for event in so_far if isinstance(event, Checked)]
    before = runs[-2] if len(runs) > 1 else {}
    failed = [result for result in report.results if result.verdict is Verdict.FAIL]
    red = {*names(report, entry.symptoms), *(names(report, entry.red) & {result.name for result in failed})}
    nodes = {entry.node, *(node for node, _ in entry.records)}
    blamed = {
        rounds.plain(suspect.service)
        for result in failed
        if result.name in red
        for suspect in result.suspects
        if suspect.node in nodes
    }
    return Injected(
        at=time.time(),
        fault=entry.fault,
        slot=1 + sum(isinstance(event, Injected) for event in so_far),
        level=entry.level,
        entry=entry.uid,
        red=tuple(sorted(red)),
        nodes=tuple(sorted(nodes)),
        services=tuple(sorted({rounds.plain(entry.service), *blamed})),
        green=tuple(sorted(names(report, entry.green))),
        also=tuple(sorted({r.name for r in failed if r.name not in red and before.get(r.name) == str(Verdict.PASS)})),
    )


def _refuse_cancelled(work: Work) -> None:
    if work.cancelled.is_set():
        raise Cancelled("interrupted")
