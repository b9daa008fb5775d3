"""Commands and programs that are run once: their effect cannot be looked at cheaply."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from labctl.changes.action import Action, Context, lines
from labctl.secret import Text, reveal, shown


@dataclass(frozen=True, kw_only=True)
class Run(Action):
    """Runs a shell line, once.

    Attributes:
        command: for the shell. It is logged: secrets belong in `stdin`.
        unless: a shell line that ends well when there is nothing to do.
        seconds: that it may take on bare metal.
    """

    once = True
    command: str
    unless: str = ""
    stdin: Text = ""
    seconds: float = 120.0

    def apply(self, context: Context) -> bool:
        """Run it unless its effect is there."""
        if self.unless and context.holds(self.unless):
            return False
        context.act(f"$ {self.command}")
        context.run(self.command, timeout=self.seconds, stdin=self.stdin)
        return True

    def pending(self, context: Context) -> str:
        """Say the command where its effect is not there."""
        return "" if self.unless and context.holds(self.unless) else self.describe()

    def describe(self) -> str:
        """Say the command."""
        return f"run {self.command}"


@dataclass(frozen=True, kw_only=True)
class Python(Action):
    """Runs a Python program on the guest, once: one start of an interpreter costs seconds under emulation.

    Attributes:
        title: what it does, for people.
        source: text of a module whose `main(data)` is called; it prints a line for each change that it makes.
        data: anything that JSON can hold, and secrets.
        seconds: that it may take on bare metal.
    """

    once = True
    title: str
    source: str = field(repr=False)
    data: Any
    seconds: float = 120.0

    def apply(self, context: Context) -> bool:
        """Run it; there was a change when it says so."""
        context.act(self.title)
        program = f"{self.source}\nimport json\nmain(json.loads({json.dumps(reveal(self.data))!r}))\n"
        return bool(context.run("python3 -", timeout=self.seconds, stdin=program).stdout.strip())

    def describe(self) -> str:
        """Say what it does, and its input."""
        return f"{self.title}{lines(json.dumps(shown(self.data.get('wanted', {})), indent=1))}"
