"""Makes points of events and rules: a pure function, so that an old round can be recomputed under corrected rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from labctl.rounds.events import (
    Checked,
    Closed,
    Event,
    Frozen,
    Healed,
    HintTaken,
    Injected,
    Opened,
    Paused,
    Reported,
    Reset,
    Restarted,
    Resumed,
    Revealed,
    Started,
)
from labctl.spec.scoring import Rules

_Kind = TypeVar("_Kind", bound=Event)
_GREEN, _RED = "PASS", "FAIL"  # ERROR and BLOCKED are neither: the checker's trouble, or another check's


@dataclass(frozen=True, kw_only=True)
class FaultPoints:
    """What one fault brought, in points.

    Attributes:
        slot: its number in the round.
        base: what it is worth.
        hints, resets: what they cost, as positive numbers.
        repaired_at: seconds of play until its checks were green for good; None where they are not.
    """

    slot: int
    fault: str
    level: int
    base: int
    detect: int
    localise: int
    repair: int
    lasting: int
    hints: int
    resets: int
    repaired_at: float | None

    @property
    def total(self) -> int:
        """Its points, never below 0."""
        return max(0, self.detect + self.localise + self.repair + self.lasting - self.hints - self.resets)


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a team has in a round.

    Attributes:
        player: the team that works on the lab.
        faults: what each fault brought.
        drill: points for seeing that nothing is broken, less what hints cost.
        wrong, collateral, downtime: what they cost, as positive numbers.
        broken: checks that were green before the round, are red now, and belong to no fault; parts of one cost once.
        hints, resets: how many were taken.
        improved: seconds of play until the last points were won; 0 where there are none.
        seconds: of play so far.
    """

    round: str
    player: str
    faults: tuple[FaultPoints, ...]
    drill: int
    wrong: int
    collateral: int
    downtime: int
    broken: tuple[str, ...]
    hints: int
    resets: int
    improved: float
    seconds: float

    @property
    def total(self) -> int:
        """The team's points, never below 0."""
        won = sum(fault.total for fault in self.faults) + self.drill
        return max(0, won - self.wrong - self.collateral - self.downtime)


class Clock:
    """Tells how many seconds were played at a moment: what lies between a stop of the clock and its start is not."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = [event for event in events if isinstance(event, (Started, Paused, Resumed, Closed))]

    def __call__(self, at: float) -> float:
        """Return the seconds of play until then; 0 before the clock started."""
        played, since = 0.0, None
        for event in self._events:
            moment = min(event.at, at)
            if isinstance(event, (Started, Resumed)):
                since = moment if since is None else since
            elif since is not None:
                played, since = played + moment - since, None
        return played + (max(0.0, at - since) if since is not None else 0.0)


def score(events: Sequence[Event], rules: Rules, *, now: float | None = None) -> Score | None:
    """Score one round.

    Args:
        events: those of one round, see `events.last_round`.
        now: the moment to score at, seconds since 1970: later events are left out. None takes all.

    Returns:
        None where no round was opened.
    """
    if now is not None:
        events = [event for event in events if event.at <= now]
    events = _until_closed(events)
    opened = next(_of(events, Opened), None)
    if opened is None:
        return None
    clock = Clock(events)
    deadline = opened.minutes * 60
    faults, innocent = faults_of(events)
    # What a team does counts until time is up; checks that run then still see what it did.
    played = [
        event for event in events if isinstance(event, (Checked, Restarted, Healed)) or clock(event.at) <= deadline
    ]
    reports = list(_of(played, Reported))
    answers = _matched(faults, reports)
    wins: list[float] = []
    points = tuple(_fault(each, played, answers[each.slot], rules, clock, wins) for each in faults)
    drill = _drill(opened, played, rules, clock, wins)
    broken = _broken(innocent, played)
    outages = _outages(innocent, played, rules)
    won = sum(fault.total for fault in points) + drill
    ends = [event.at for event in events]
    return Score(
        round=opened.round,
        player=opened.player,
        faults=points,
        drill=drill,
        wrong=_wrong(faults, reports) * _share(rules.base(1), rules.wrong),
        collateral=len({_whole(check) for check in broken}) * rules.collateral,
        downtime=_share(won, min(outages * rules.downtime.percent, rules.downtime.cap)),
        broken=broken,
        hints=len({(hint.slot, hint.number) for hint in _of(played, HintTaken)}),
        resets=len(list(_of(played, Reset))),
        improved=max(wins, default=0.0),
        seconds=min(clock(now if now is not None else max(ends)), deadline),
    )


def faults_of(events: Sequence[Event]) -> tuple[list[Injected], set[str]]:
    """Return the faults of a round, and the checks that a team answers for: no fault turned these red.

    What the run of checks right before the start of the clock did not see green belongs to the faults; of what a fault
    wants green, the checks that another one turned red are left out.
    """
    faults = list(_of(events, Injected))
    started = next((number for number, event in enumerate(events) if isinstance(event, Started)), len(events))
    runs = list(_of(events[:started], Checked))
    sabotaged = {check for fault in faults for check in (*fault.red, *fault.also)}
    before = [run.verdicts for run in runs if run.baseline][:1]
    broken = [run.verdicts for run in runs if not run.baseline][-1:]
    innocent = {
        check
        for verdicts in before
        for check, verdict in verdicts.items()
        if check not in sabotaged and all(each.get(check, _GREEN) == _GREEN for each in (verdicts, *broken))
    }
    return [replace(fault, green=tuple(sorted(innocent & set(fault.green)))) for fault in faults], innocent


def fits(fault: Injected, report: Reported) -> int:
    """Return how much of a diagnosis is right: 2 for service and node, 1 for one of them, 0 for none."""
    return (report.service in fault.services) + (report.node in fault.nodes)


def green(fault: Injected, checked: Checked) -> bool:
    """Whether a run of checks saw all that a fault had turned red green again, and nothing red that must not be."""
    mended = all(checked.verdicts.get(check) == _GREEN for check in fault.red)
    return mended and not any(checked.verdicts.get(check) == _RED for check in fault.green)


def price(number: int, level: int | None, rules: Rules) -> int:
    """Return what a hint costs, in points.

    Args:
        number: which hint, counted from 1; one that the rules do not price is free.
        level: of its fault; None in a drill.
    """
    base = rules.drill if level is None else rules.base(level)
    return _share(base, rules.hints[number - 1]) if 0 < number <= len(rules.hints) else 0


def pending(events: Sequence[Event], rules: Rules) -> float:
    """Return for how many seconds more repairs that look good must be seen to be sustained; 0 where none is open."""
    runs = [event.at for event in _of(events, Checked)]
    faults, _ = faults_of(events)
    stretches = [_stretch(fault, events, rules) for fault in faults]
    return max(
        (rules.sustained - (last - since) for since, last in filter(None, stretches) if last == runs[-1]), default=0.0
    )


def frozen(events: Sequence[Event]) -> float | None:
    """Return the moment from which on teams and the public see nothing new; None where they see everything."""
    last = next((event for event in reversed(events) if isinstance(event, (Frozen, Revealed))), None)
    return last.since if isinstance(last, Frozen) else None


def _of(events: Sequence[Event], kind: type[_Kind]) -> Iterator[_Kind]:
    return (event for event in events if isinstance(event, kind))


def _until_closed(events: Sequence[Event]) -> Sequence[Event]:
    """Leave out what came after the end of the round."""
    end = next((number for number, event in enumerate(events) if isinstance(event, Closed)), len(events))
    return events[: end + 1]


def _matched(faults: Sequence[Injected], reports: Sequence[Reported]) -> dict[int, list[Reported]]:
    """Give each report to the one fault that it fits best; a report that fits two equally is of the first."""
    answers: dict[int, list[Reported]] = {fault.slot: [] for fault in faults}
    for report in reports:
        best = max(faults, key=lambda fault: (fits(fault, report), _shows(fault, report)), default=None)
        if best is not None and _says_something(best, report):
            answers[best.slot].append(report)
    return answers


def _says_something(fault: Injected, report: Reported) -> bool:
    return bool(fits(fault, report)) or _shows(fault, report)


def _shows(fault: Injected, report: Reported) -> bool:
    """Whether a diagnosis names a check that the fault turned red, or the whole of which that is a part."""
    return any(report.symptom in (check, _whole(check)) for check in (*fault.red, *fault.also))


def _fault(
    fault: Injected,
    played: Sequence[Event],
    reports: Sequence[Reported],
    rules: Rules,
    clock: Clock,
    wins: list[float],
) -> FaultPoints:
    """Score one fault, and note when its points were won."""
    base = rules.base(fault.level)
    seen = [report for report in reports if _shows(fault, report)]
    right = max((fits(fault, report) for report in reports), default=0)
    repaired = _repaired(fault, played, rules, clock)
    held = repaired is not None and any(each.held for each in _of(played, Restarted) if each.slot == fault.slot)
    if seen and rules.shares.detect:
        wins.append(clock(seen[0].at))
    if right and rules.shares.localise:
        wins.append(clock(next(report.at for report in reports if fits(fault, report) == right)))
    if repaired is not None and rules.shares.repair:
        wins.append(repaired)
    taken = {hint.number for hint in _of(played, HintTaken) if hint.slot == fault.slot}
    return FaultPoints(
        slot=fault.slot,
        fault=fault.fault,
        level=fault.level,
        base=base,
        detect=_share(base, rules.shares.detect) if seen else 0,
        localise=_share(base, rules.shares.localise * right / 2),
        repair=_share(base, rules.shares.repair) if repaired is not None else 0,
        lasting=_share(base, rules.shares.lasting) if held else 0,
        hints=sum(price(number, fault.level, rules) for number in taken),
        resets=_share(base, min(100, _resets(fault, played, rules))),
        repaired_at=repaired,
    )


def _repaired(fault: Injected, played: Sequence[Event], rules: Rules, clock: Clock) -> float | None:
    """Return the seconds of play at which a fault's checks became green for good; None where they did not.

    One green run is not enough where the rules ask for a sustained repair: a second one, late enough, has to see it
    too.
    """
    stretch = _stretch(fault, played, rules)
    return clock(stretch[0]) if stretch and stretch[1] - stretch[0] >= rules.sustained else None


def _stretch(fault: Injected, events: Sequence[Event], rules: Rules) -> tuple[float, float] | None:
    """Return when a fault's checks were seen green first, and last, without a red one between; None where they are red.

    What the organiser healed is no repair, nor is what a reset took away, unless the rules say so.
    """
    since: float | None = None
    last = 0.0
    for event in events:
        if isinstance(event, Healed) and event.slot == fault.slot and since is None:
            return None
        if isinstance(event, Reset) and since is None and not rules.resets_repair and _took(event, fault):
            return None
        if isinstance(event, Checked) and not event.baseline and event.at > fault.at:
            if green(fault, event):
                since = event.at if since is None else since
                last = event.at
            elif any(event.verdicts.get(check) == _RED for check in (*fault.red, *fault.green)):
                since = None
    return (since, last) if since is not None else None


def _took(reset: Reset, fault: Injected) -> bool:
    return reset.whole or bool(set(reset.nodes) & set(fault.nodes))


def _resets(fault: Injected, played: Sequence[Event], rules: Rules) -> int:
    """Return the percentage that resets of a fault's nodes cost it."""
    paid = list(_of(played, Reset))[rules.resets.free :]
    return sum(rules.resets.lab if each.whole else rules.resets.node for each in paid if _took(each, fault))


def _drill(opened: Opened, played: Sequence[Event], rules: Rules, clock: Clock, wins: list[float]) -> int:
    """Return the points of a round without a fault: they are for saying so, and for nothing else."""
    calm = [report for report in _of(played, Reported) if report.nothing]
    if opened.faults or not calm:
        return 0
    wins.append(clock(calm[0].at))
    taken = {hint.number for hint in _of(played, HintTaken)}
    return max(0, rules.drill - sum(price(number, None, rules) for number in taken))


def _wrong(faults: Sequence[Injected], reports: Sequence[Reported]) -> int:
    """Count the diagnoses that fit no fault; "nothing is broken" is one where something is."""
    missed = [report for report in reports if report.nothing and faults]
    return len(missed) + sum(
        not report.nothing and not any(_says_something(fault, report) for fault in faults) for report in reports
    )


def _broken(innocent: set[str], played: Sequence[Event]) -> tuple[str, ...]:
    """Return the checks among them that were red when they were last run."""
    last: dict[str, str] = {}
    for run in _of(played, Checked):
        last |= {check: verdict for check, verdict in run.verdicts.items() if verdict in (_GREEN, _RED)}
    return tuple(sorted(check for check in innocent if last.get(check) == _RED))


def _outages(innocent: set[str], played: Sequence[Event], rules: Rules) -> int:
    """Count the outages of what nobody sabotaged: each run of so many red results in a row is one.

    A check with parts is red with any of them, and green when some are and none is red.
    """
    runs = list(_of(played, Checked))
    outages = 0
    for whole in {_whole(check) for check in innocent}:
        parts = [check for check in innocent if _whole(check) == whole]
        misses = 0
        for run in runs:
            seen = {run.verdicts.get(check) for check in parts}
            if _RED in seen:
                misses += 1
                outages += misses % rules.downtime.misses == 0
            elif _GREEN in seen:
                misses = 0
    return outages


def _whole(check: str) -> str:
    """Return the check that a part is of: C03 for C03:glance."""
    return check.partition(":")[0]


def _share(points: int, percent: float) -> int:
    """Return a percentage of points, rounded to whole ones."""
    return round(points * percent / 100)
