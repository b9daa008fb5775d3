"""What happens in a round, one frozen record each, and their JSON lines."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from labctl.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened.

    Attributes:
        at: seconds since 1970, by the organiser's clock.
        kind: what JSON calls it.
    """

    kind: ClassVar[str]
    at: float


@dataclass(frozen=True, kw_only=True)
class Opened(Event):
    """A round is being prepared: checks, then faults, then the clock starts.

    Attributes:
        round: its ID, the same for all teams.
        minutes: how long it lasts.
        player: the team that works on the lab; after a swap not the lab's own.
        faults: how many were injected; 0 is a drill.
        rules: the rules that were announced, as plain data.
    """

    kind = "round opened"
    round: str
    minutes: int
    player: str
    faults: int
    rules: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Injected(Event):
    """A fault was injected.

    Attributes:
        fault: its ID.
        slot: its number in the round, counted from 1: teams may know nothing else about it.
        level: how hard it is, 1 to 3.
        entry: its ID in the lab's ledger.
        red: checks that it turned red; all of them green again is a repair.
        nodes, services: where it is; a diagnosis that names one of each is right.
        green: checks that must not be red where a repair is to count.
        also: other checks that turned red with it; as symptoms they are right, too.
    """

    kind = "fault injected"
    fault: str
    slot: int
    level: int
    entry: str
    red: tuple[str, ...]
    nodes: tuple[str, ...]
    services: tuple[str, ...]
    green: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """The clock started: the lab is broken, and the team may begin."""

    kind = "clock started"


@dataclass(frozen=True, kw_only=True)
class HintTaken(Event):
    """The team asked for a hint.

    Attributes:
        slot: of which fault, by its number in the round.
        number: which hint, counted from 1.
    """

    kind = "hint taken"
    slot: int
    number: int


@dataclass(frozen=True, kw_only=True)
class Reported(Event):
    """The team said what is broken.

    Attributes:
        service, node: the suspect that the team names.
        symptom: ID of a check that shows it; empty where none is named.
        nothing: the team says that nothing is broken.
    """

    kind = "diagnosis reported"
    service: str = ""
    node: str = ""
    symptom: str = ""
    nothing: bool = False


@dataclass(frozen=True, kw_only=True)
class Reset(Event):
    """Nodes were made anew.

    Attributes:
        nodes: which.
        whole: whether it was the whole lab, by a reset or by the way back to a snapshot.
    """

    kind = "reset"
    nodes: tuple[str, ...]
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class Checked(Event):
    """Checks ran.

    Attributes:
        verdicts: check, or part of one (C03:glance), to PASS, FAIL, BLOCKED, ERROR or SKIPPED.
        baseline: whether it was the run right before the round.
    """

    kind = "check run"
    verdicts: dict[str, str]
    baseline: bool = False


@dataclass(frozen=True, kw_only=True)
class Restarted(Event):
    """The units that a fault touches were restarted after its repair.

    Attributes:
        slot: of which fault.
        held: whether its checks were green again.
    """

    kind = "units restarted"
    slot: int
    held: bool


@dataclass(frozen=True, kw_only=True)
class Healed(Event):
    """The organiser took a fault back.

    Attributes:
        slot: which one.
    """

    kind = "healed"
    slot: int


@dataclass(frozen=True, kw_only=True)
class Paused(Event):
    """The clock stopped, for an outage that is not the teams' fault.

    Attributes:
        reason: why, for the record.
    """

    kind = "clock stopped"
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Resumed(Event):
    """The clock went on."""

    kind = "clock went on"


@dataclass(frozen=True, kw_only=True)
class Closed(Event):
    """The round ended."""

    kind = "closed"


@dataclass(frozen=True, kw_only=True)
class Note(Event):
    """The organiser wrote something down; it changes no points.

    Attributes:
        text: what.
    """

    kind = "note"
    text: str


@dataclass(frozen=True, kw_only=True)
class Frozen(Event):
    """What teams and the public see stands still from a moment on.

    Attributes:
        since: that moment, seconds since 1970; it may be to come.
    """

    kind = "scores frozen"
    since: float


@dataclass(frozen=True, kw_only=True)
class Revealed(Event):
    """Teams and the public see everything again."""

    kind = "scores revealed"


KINDS: dict[str, type[Event]] = {kind.kind: kind for kind in Event.__subclasses__()}


def line(event: Event) -> str:
    """Return an event as one line of JSON, without its end."""
    return json.dumps({"kind": event.kind, **vars(event)}, separators=(",", ":"))


def read(text: str, source: str) -> tuple[Event, ...]:
    """Read a file of events. A last line without an end was being written when labctl died: it never happened.

    Raises:
        InputError: a line is no event.
    """
    whole, _, _ = text.rpartition("\n")
    return tuple(_parsed(each, f"{source}, line {number}") for number, each in enumerate(whole.splitlines(), 1))


def rounds(events: Iterable[Event]) -> list[tuple[Event, ...]]:
    """Return the events of each round, the oldest first; each begins with its opening."""
    found: list[list[Event]] = []
    for event in events:
        if isinstance(event, Opened):
            found.append([])
        if found:
            found[-1].append(event)
    return [tuple(each) for each in found]


def last_round(events: Iterable[Event]) -> tuple[Event, ...]:
    """Return the events from the last opening on; none where no round was opened."""
    found = rounds(events)
    return found[-1] if found else ()


def closed(events: Iterable[Event]) -> bool:
    """Whether a round has ended."""
    return any(isinstance(event, Closed) for event in events)


def _parsed(text: str, place: str) -> Event:
    try:
        values = json.loads(text)
        kind = KINDS[values.pop("kind")]
        return kind(**{each.name: _typed(each, values.pop(each.name)) for each in _given(kind, values)}, **values)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise InputError(
            f"{place} is no event of a round",
            details=f"{type(exc).__name__}: {exc}",
            remedy="docs/reference/events.md lists every kind. Move the file away to start a new one.",
        ) from exc


def _given(kind: type[Event], values: Mapping[str, Any]) -> list[dataclasses.Field[Any]]:
    return [each for each in dataclasses.fields(kind) if each.name in values]


def _typed(part: dataclasses.Field[Any], value: Any) -> Any:
    """Return a value in the type of its field; ValueError for another one."""
    expected = str(part.type)
    if expected.startswith("tuple") and isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = {
        "float": number and math.isfinite(value),
        "int": number and value == int(value),
        "str": isinstance(value, str),
        "bool": isinstance(value, bool),
    }.get(expected, isinstance(value, dict) and expected.startswith("dict"))
    if not fits:
        raise ValueError(f"{part.name} is {value!r}")
    return value
