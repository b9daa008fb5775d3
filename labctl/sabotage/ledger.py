"""The ledger: what was done to a lab, as data. It is written before anything is touched; a heal needs nothing else."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from labctl.changes import Record
from labctl.sabotage.fault import Drawn, Fault


class State(enum.StrEnum):
    """How far an injection is."""

    DRAWN = "drawn"
    MAYBE = "maybe-applied"
    INJECTED = "injected"
    REVERTED = "reverted"  # it did not do what it says, and was undone at once
    HEALED = "healed"
    GONE = "gone"  # its node was reset


OPEN = (State.MAYBE, State.INJECTED)
"""States in which something of it may be in the lab."""

NEVER = (State.DRAWN, State.REVERTED)
"""States of what never stood in a lab: teams need not know."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One injection.

    Attributes:
        uid: its own ID, for there may be the same fault again.
        seed: that gives the same node and parameters again.
        candidates: IDs of all that were in the draw.
        generations: node to how often it was made anew when this was injected.
        records: node and record of each change, in order.
        hints: in the order in which they are given; `taken` says how many were.
        explanation, repair: sealed; what `reveal` shows.
        symptoms: check to the line that it said when it turned red.
        seconds: what took how long: inject, detect, heal.
        notes: what a heal found.
    """

    uid: str
    fault: str
    title: str
    level: int
    group: str
    state: State
    seed: str
    node: str
    service: str
    lasts: str
    red: tuple[str, ...]
    green: tuple[str, ...]
    hints: tuple[str, ...]
    explanation: str
    repair: tuple[tuple[str, str], ...]
    drawn_at: str
    candidates: tuple[str, ...] = ()
    generations: Mapping[str, int] = field(default_factory=dict)
    records: tuple[tuple[str, Record], ...] = ()
    symptoms: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    taken: int = 0
    notes: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the entry as JSON can hold it."""
        plain = asdict(replace(self, records=()))
        return plain | {
            "state": str(self.state),
            "records": [[node, record.document()] for node, record in self.records],
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Entry:
        """Read what `document` returned; fails with KeyError, TypeError or ValueError on anything else."""
        values = dict(document)
        for name in ("red", "green", "hints", "candidates", "notes"):
            values[name] = tuple(str(each) for each in values[name])
        values["repair"] = tuple((str(node), str(line)) for node, line in values["repair"])
        values["records"] = tuple((str(node), Record.of(record)) for node, record in values["records"])
        values["state"] = State(values["state"])
        return cls(**values)


def new_entry(fault: Fault, drawn: Drawn, *, uid: str, seed: str, at: str, candidates: tuple[str, ...]) -> Entry:
    """Return the entry of a fault that was drawn."""
    return Entry(
        uid=uid,
        fault=fault.id,
        title=fault.title,
        level=fault.level,
        group=fault.group,
        state=State.DRAWN,
        seed=seed,
        node=drawn.node,
        service=drawn.service,
        lasts=fault.lasts,
        red=drawn.red or fault.red,
        green=drawn.green or fault.green,
        hints=fault.hints,
        explanation=drawn.explanation,
        repair=tuple((typed.node, typed.line) for typed in drawn.repair),
        drawn_at=at,
        candidates=candidates,
    )


def aged(entry: Entry, generations: Mapping[str, int]) -> Entry:
    """Return an entry that knows of resets: it is gone when every node that it changed was made anew since."""
    nodes = {node for node, _ in entry.records}
    if entry.state not in OPEN or not nodes or any(renewed(entry, node, generations) is False for node in nodes):
        return entry
    return replace(entry, state=State.GONE, notes=(*entry.notes, f"{', '.join(sorted(nodes))} was reset"))


def renewed(entry: Entry, node: str, generations: Mapping[str, int]) -> bool:
    """Whether a node was made anew since the injection."""
    return generations.get(node, 0) != entry.generations.get(node, 0)
