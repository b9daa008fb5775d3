"""The clock of a guest: how far it is from the clock of whoever looks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State

_NEAR = 60.0  # seconds within which two clocks are the same; answers of emulated guests are late


class Clocks:
    """A guest's clock; the target is always `clock`."""

    name = "clock"

    def look(self, context: Context, target: str) -> State:
        """Return how many seconds the guest is ahead."""
        began = time.time()
        said = float(context.ask("date +%s.%N").stdout or 0)
        return {"ahead": said - (began + time.time()) / 2}

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Set it."""
        context.run(f"date -s @{time.time() + wanted['ahead']:.3f} >/dev/null", timeout=60)

    def same(self, one: State, other: State) -> bool:
        """Whether they are within a minute."""
        return abs(float(one["ahead"]) - float(other["ahead"])) < _NEAR

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        return f"clock: {wanted['ahead'] - now['ahead']:+.0f} s"


CLOCKS: Kind = Clocks()


@dataclass(frozen=True, kw_only=True)
class Clock(Change):
    """Sets the clock ahead.

    Attributes:
        ahead: seconds; negative sets it back.
    """

    kind: ClassVar[Kind] = CLOCKS
    ahead: float

    @property
    def target(self) -> str:
        """The clock."""
        return "clock"

    def judge(self, now: State) -> State:
        """Return the clock that much ahead of true time."""
        return {"ahead": self.ahead}

    def describe(self) -> str:
        """Say how far."""
        return f"set the clock {self.ahead:+.0f} s off"
