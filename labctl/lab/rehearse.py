"""Rehearses a workshop's day on a host, in labs of its own: what works, how long it takes, and why tomorrow would not.

Whatever happens, the labs are removed at the end. A rehearsal that was killed is cleared away by the next one.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from labctl.checks.model import Report
from labctl.errors import LabctlError, RefusedError
from labctl.lab import (
    by_the_book,
    capture,
    check,
    closing,
    decisions,
    destroy,
    many,
    opening,
    reset,
    rollout,
    rounds,
    snapshot,
)
from labctl.lab import sabotage as faults
from labctl.lab.decisions import Choice, Starting
from labctl.lab.many import Batch
from labctl.lab.rounds import Seat
from labctl.sabotage import draw
from labctl.sabotage.fault import Scene
from labctl.site.site import Site
from labctl.site.together import Attempts
from labctl.site.work import Work
from labctl.spec.scoring import Rules
from labctl.state import Home, records

PREFIX = "rehearsal-"
"""How the names of a rehearsal's teams begin."""

MARK = "rehearsal"
"""The file in a lab's folder that says that the lab is a rehearsal's."""


@dataclass(frozen=True, kw_only=True)
class Day:
    """What is rehearsed.

    Attributes:
        choice: what the labs are made from.
        labs: how many are made.
        teams: how many will be there on the day; the host must have room for all of them.
        faults: how many rounds are played, each with another fault.
        quick: whether even the first look is only at what can be checked without changing anything.
        seed: the same word gives the same faults.
        rules: of the rounds.
        minutes: how long a round of the class is to last.
    """

    choice: Choice
    labs: int
    teams: int
    faults: int
    seed: str
    quick: bool = False
    rules: Rules = field(default_factory=Rules)
    minutes: int = 45

    @property
    def names(self) -> tuple[str, ...]:
        """The teams of the rehearsal."""
        return names(self.labs)


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that was done.

    Attributes:
        name: capacity, create, check, draw, open, hint, report, repair, close, score, heal, reset, save, restore,
            destroy, leaks.
        what: more about it; empty where the name says all.
        seconds: that it took, in all labs side by side.
        trouble: what went wrong; empty where nothing did.
    """

    name: str
    what: str = ""
    seconds: float
    trouble: str = ""


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """How a rehearsal went.

    Attributes:
        forked: whether the labs went on from a golden set's memory; else they booted.
    """

    topology: str
    host: str
    virt: str
    forked: bool
    day: Day
    steps: tuple[Step, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why tomorrow would not work; none where it would."""
        return tuple(step.trouble for step in self.steps if step.trouble)

    @property
    def go(self) -> bool:
        """Whether tomorrow works."""
        return not self.reasons

    def seconds(self, name: str) -> float:
        """Return the longest that a step took; 0 where it was not done."""
        return max((step.seconds for step in self.steps if step.name == name), default=0.0)


def names(count: int) -> tuple[str, ...]:
    """Return the names of a rehearsal's teams."""
    return tuple(f"{PREFIX}{number:02d}" for number in range(1, count + 1))


def rehearse(work: Work, day: Day) -> Rehearsal:
    """Rehearse a day, and remove the labs of it, also after an interrupt.

    Raises:
        LockedError: another rehearsal goes on.
        RefusedError: a team of somebody's has a name of ours.
    """
    assert day.choice.topology is not None
    with work.home.lock("home", "rehearsal"):
        _clear(work, day)
        run = _Run(work.again(), day)
        try:
            with contextlib.suppress(_NoGo):
                run.play()
        finally:
            run.end()
    return Rehearsal(
        topology=day.choice.topology.name,
        host=work.site.name,
        virt=work.site.virt,
        forked=run.forked,
        day=day,
        steps=tuple(run.steps),
    )


class _NoGo(Exception):  # noqa: N818 - it ends the day
    """There is no use in going on."""


class _Run:
    """One rehearsal."""

    def __init__(self, work: Work, day: Day) -> None:
        self._work, self._day = work, day
        self._batch = Batch(home=work.home, progress=work.progress, cancelled=work.cancelled, jobs=work.jobs)
        self.steps: list[Step] = []
        self.forked = self._fits = False

    def play(self) -> None:
        """Go through the day.

        Raises:
            _NoGo: it cannot go on.
        """
        with self._step("capacity", fatal=True):
            self._capacity()
        with self._step("create", fatal=True):
            self._create()
        if not self._fits:
            with self._step("capacity", "now that there is what labs are made from", fatal=True):
                self._room()
        with self._step("check", fatal=True):
            self._check()
        pool: list[str] = []
        with self._step("draw"):
            pool += self._pool() if self._day.faults else []
        for number, fault in enumerate(pool, start=1):
            self._round(number, fault)
        first = self._day.names[0]
        node = records.lab_of(self._work.home, first).plan.nodes[0].name
        with self._step("reset"):
            reset.reset(self._work.again(), first, [node])
        with self._step("save"):
            capture.snapshot(self._work.again(), first, MARK)
        with self._step("restore"):
            snapshot.restore(self._work.again(), first, MARK)
        with self._step("check", "after reset and restore"):
            self._green(first)

    def end(self) -> None:
        """Remove the labs, and look whether anything of them is left; an interrupt of the day does not stop it."""
        work = replace(self._work.again(), cancelled=threading.Event())
        home = work.home
        claimed = {
            name for team in self._day.names if (record := home.lab(team).load()) is not None for name in record.volumes
        }
        begun = [team for team in self._day.names if home.lab(team).path.exists()]
        if not begun:
            return
        with self._step("destroy"):
            attempts = Attempts()
            for team in begun:
                with attempts.one():
                    _remove(work, team)
            attempts.check(brief="not every lab could be removed")
        with self._step("leaks"):
            left = [*_left(work.site.again(), self._day.names, claimed)]
            left += [str(home.lab(team).path) for team in self._day.names if home.lab(team).path.exists()]
            if left:
                raise LabctlError(f"the rehearsal has left {', '.join(left)}")

    @contextlib.contextmanager
    def _step(self, name: str, what: str = "", *, fatal: bool = False) -> Iterator[None]:
        """Time a step, and note what goes wrong in it."""
        about = f"{name} {what}".rstrip()
        self._work.progress.say(f"rehearsal: {about}")
        began, trouble = time.monotonic(), ""
        try:
            yield
        except LabctlError as exc:
            if self._work.cancelled.is_set() and name not in ("destroy", "leaks"):
                raise KeyboardInterrupt from exc  # what was given up is no reason against tomorrow
            trouble = f"{about}: {_reason(exc)}"
        self.steps.append(Step(name=name, what=what, seconds=round(time.monotonic() - began, 1), trouble=trouble))
        if trouble and fatal:
            raise _NoGo

    def _capacity(self) -> None:
        """See whether all teams fit, and whether their labs can go on from memory where there is some."""
        day, work = self._day, self._work
        assert day.choice.topology is not None
        if obstacle := decisions.obstacle(work.site, day.choice.topology, day.choice):
            raise LabctlError(
                obstacle, details="The nodes would boot. --cold rehearses that; or capture a new set here."
            )
        if not rollout.planned(work, day.names[:1], day.choice, Starting(), once=False).supplies:
            self._room()

    def _room(self) -> None:
        """See whether the labs of all teams fit beside what runs."""
        everybody = names(max(self._day.teams, self._day.labs))
        labs = decisions.decide(self._work.again(), everybody, self._day.choice, overcommit=False, held=None)
        self.forked = bool(labs[0].memory)
        self._fits = True

    def _create(self) -> None:
        for team in self._day.names:
            self._work.home.lab(team).write(MARK, "This lab is a rehearsal's. The next rehearsal removes it.\n")
        rollout.roll_out(self._work.again(), self._day.names, self._day.choice, Starting(), once=False)

    def _check(self) -> None:
        """See that every check is green before anything was broken; later looks are quick ones."""

        def one(work: Work, team: str) -> None:
            _refuse_red(check.check(work, team, quick=self._day.quick), "red from the start")

        many.each(self._batch, self._day.names, one).check()

    def _green(self, team: str) -> None:
        _refuse_red(check.check(self._work.again(), team, quick=True), "red")

    def _pool(self) -> list[str]:
        """Return the faults of the rounds, drawn for the first lab; the others are like it. Few faults come again."""
        scene = Scene(lab=records.lab_of(self._work.home, self._day.names[0]).plan)
        found = [fault.id for fault in draw.candidates(scene)]
        Random(f"{self._day.seed}/rehearsal").shuffle(found)  # noqa: S311 - reproducible, not secret
        if not found:
            raise LabctlError(f"no fault can be drawn for a lab of {scene.lab.topology} at stage {scene.lab.stage}")
        return list(itertools.islice(itertools.cycle(found), self._day.faults))

    def _round(self, number: int, fault: str) -> None:
        """Play a round in all labs: each is mended by the book, but the last one in the last round, which is healed."""
        day, home = self._day, self._work.home
        about = f"round {number}, {fault}"
        spared = day.names[-1] if number == day.faults and day.labs > 1 else ""
        seats: list[Seat] = []
        with self._step("open", about):
            seed = f"{day.seed}/{number}"
            setup = opening.Setup(teams=day.names, ids=(fault,), seed=seed, minutes=day.minutes, rules=day.rules)
            seats = opening.open_round(self._batch, setup)
        if seats:
            with self._step("hint", about):
                for seat in seats:
                    if (offer := rounds.offer(home, seat, None)) is not None:
                        rounds.take(home, seat, offer)
            with self._step("report", about):
                for seat in seats:
                    by_the_book.report(home, seat)
            with self._step("repair", about):
                many.each(self._batch, [team for team in day.names if team != spared], by_the_book.repair).check()
        with self._step("close", about):
            closing.close(self._batch, _going_on(home, day.names), checks=bool(seats))
        if seats:
            with self._step("score", about):
                played = rounds.chosen(rounds.seats(home, of=seats[0].opened.round), day.names)
                short = [why for seat in played for why in by_the_book.missed(seat, repaired=seat.lab != spared)]
                if short:
                    raise LabctlError("; ".join(short))
        with self._step("heal", about):

            def heal(work: Work, team: str) -> None:
                _, report = faults.heal(work, team, quick=True)
                _refuse_red(report, "red after the heal")

            many.each(self._batch, day.names, heal).check()


def _going_on(home: Home, teams: Sequence[str]) -> list[Seat]:
    """Return the places of a round that was not closed, also of one that could not be begun."""
    return [seat for team in teams if (seat := rounds.seat_of(home, team)) is not None]


def _refuse_red(report: Report, how: str) -> None:
    red = [result for result in report.results if result.red]
    if red:
        why = [f"{each.name} is {how}: {each.first.node} {each.first.evidence}" for each in red if each.first]
        raise LabctlError(f"{report.lab}: {'; '.join(why)}")


def _reason(error: LabctlError) -> str:
    """Return an error on one line, with what the details say."""
    details = "; ".join(line.strip() for line in error.details.splitlines() if line.strip())
    return f"{error.brief}: {details}" if details else error.brief


def _clear(work: Work, day: Day) -> None:
    """Remove what a killed rehearsal has left.

    Raises:
        RefusedError: a lab that is no rehearsal's has a name of ours.
    """
    home = work.home
    ours = [path.parent.name for path in sorted(home.root.glob(f"labs/{PREFIX}*/{MARK}"))]
    taken = [team for team in names(max(day.labs, day.teams)) if team not in ours and home.lab(team).exists]
    if taken:
        raise RefusedError(
            f"{', '.join(taken)} has a lab that is no rehearsal's",
            remedy=f"Rehearsals need the names {PREFIX}01 and so on: labctl destroy {' '.join(taken)}.",
        )
    for team in ours:
        work.progress.say(f"{team}: left by a rehearsal that was killed; it is removed")
        _remove(work.again(), team)


def _remove(work: Work, team: str) -> None:
    """Remove a lab of a rehearsal, however far it was made."""
    folder = work.home.lab(team)
    if folder.exists:
        destroy.destroy(work.again(), team)
    shutil.rmtree(folder.path, ignore_errors=True)


def _left(site: Site, teams: Sequence[str], claimed: set[str]) -> Iterator[str]:
    """Yield what is on the host of labs that were removed."""
    site.room()  # the pool is looked at anew: a file may be there that libvirt has forgotten
    for kind, found in (("domain", site.domains), ("network", site.networks), ("volume", site.volumes)):
        for name in sorted(found):
            if name in claimed or any(name.startswith(f"{team}-") for team in teams):
                yield f"{kind} {name}"
