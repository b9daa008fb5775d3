"""Probes: what a step did is seen, not believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl import waiting
from labctl.changes.action import Action, Context
from labctl.errors import DeadlineError


@dataclass(frozen=True, kw_only=True)
class Wait(Action):
    """Waits until a shell line ends well: a probe that proves what the step did.

    Attributes:
        until: the condition.
        what: what it proves, for people.
        seconds: that it may take on bare metal.
    """

    alone = False
    until: str
    what: str
    seconds: float = 60.0
    pause: ClassVar[float] = 0.5

    def apply(self, context: Context) -> bool:
        """Ask until it holds."""
        said: list[str] = []

        def holds() -> bool:
            try:
                answer = context.guest.run(self.until, timeout=max(30.0, 15 * context.slow), check=False)
                if answer.exit_code == 0:
                    return True
                last = (answer.stderr or answer.stdout).strip()
            except DeadlineError as exc:
                last = exc.brief
            if not said:
                context.say(f"waiting: {self.what}")
            said.append(last)
            return False

        if not waiting.until(holds, seconds=self.seconds * context.slow, pause=self.pause):
            raise DeadlineError(f"{context.guest.name}: not yet: {self.what}", details=f"$ {self.until}\n{said[-1]}")
        return False

    def pending(self, context: Context) -> str:
        """Say nothing: it changes nothing."""
        return ""

    def describe(self) -> str:
        """Say what is waited for."""
        return f"wait until {self.what}: {self.until}"
