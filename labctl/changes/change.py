"""Changes that have a before and an after: records of them are data, and an undo overwrites nobody else's work."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from labctl.changes.action import Action, Context

State = dict[str, Any]
"""How a thing is: JSON, nothing else."""


class Kind(Protocol):
    """A kind of thing in a guest: how it is looked at, and how it is brought into a state."""

    name: str

    def look(self, context: Context, target: str) -> State:
        """Return how a thing is."""
        ...

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Bring a thing from one state into another."""
        ...

    def same(self, one: State, other: State) -> bool:
        """Whether two states mean the same to whoever uses the thing."""
        ...

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return the difference of two states for people."""
        ...


class Change(Action):
    """An action whose effect can be looked at."""

    kind: ClassVar[Kind]

    @property
    def target(self) -> str:
        """What it changes, as its kind names it."""
        raise NotImplementedError

    def judge(self, now: State) -> State:
        """Return how the thing is to be; equal to how it is when there is nothing to do."""
        raise NotImplementedError

    def apply(self, context: Context) -> bool:
        """Look, judge, and act where the two differ."""
        now = self.kind.look(context, self.target)
        wanted = self.judge(now)
        if self.kind.same(now, wanted):
            return False
        context.act(f"changing {self.target}")
        self.kind.become(context, self.target, now, wanted)
        return True

    def pending(self, context: Context) -> str:
        """Return the difference between how the thing is and how it is to be."""
        now = self.kind.look(context, self.target)
        wanted = self.judge(now)
        return "" if self.kind.same(now, wanted) else self.kind.show(self.target, now, wanted)


@dataclass(frozen=True, kw_only=True)
class Record:
    """A change's before and after: all that its undo needs.

    Attributes:
        kind: name of the kind of thing.
        target: which one.
        restart: units that read it, which are restarted after the change and after its undo.
        waits: whether the restart after the change waits for them; one that the change keeps from starting never ends.
    """

    kind: str
    target: str
    before: State
    after: State
    restart: tuple[str, ...] = ()
    waits: bool = True

    def document(self) -> dict[str, Any]:
        """Return the record as JSON can hold it."""
        return {**vars(self), "restart": list(self.restart)}

    @classmethod
    def of(cls, document: dict[str, Any]) -> Record:
        """Read what `document` returned."""
        return cls(**{**document, "restart": tuple(document["restart"])})


class Outcome(enum.StrEnum):
    """What an undo did."""

    RESTORED = "restored"
    MENDED = "already as before"
    FOREIGN = "changed by somebody else, left as it is"
