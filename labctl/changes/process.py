"""The main process of a unit: it can be halted without systemd seeing anything amiss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State
from labctl.errors import InputError
from labctl.quoting import shell


class Processes:
    """Main processes of units, by the unit's name."""

    name = "process"

    def look(self, context: Context, target: str) -> State:
        """Return whether it is halted; None where it does not run."""
        said = context.ask(f"ps -o stat= -p $(systemctl show -P MainPID {shell(target)})").stdout.strip()
        return {"halted": said.startswith("T") if said else None}

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Halt it, or have it go on."""
        signal = "STOP" if wanted["halted"] else "CONT"
        context.run(f"kill -{signal} $(systemctl show -P MainPID {shell(target)})", timeout=30)

    def same(self, one: State, other: State) -> bool:
        """Whether both are halted, or none."""
        return one == other

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        return f"{target}: halted: {now['halted']} -> {wanted['halted']}"


PROCESSES: Kind = Processes()


@dataclass(frozen=True, kw_only=True)
class Stopped(Change):
    """Halts a unit's main process by a signal that it does not notice."""

    kind: ClassVar[Kind] = PROCESSES
    unit: str

    @property
    def target(self) -> str:
        """The unit."""
        return self.unit

    def judge(self, now: State) -> State:
        """Return it halted.

        Raises:
            InputError: it does not run, or is halted already.
        """
        if now["halted"] is not False:
            raise InputError(f"{self.unit} does not run")
        return {"halted": True}

    def describe(self) -> str:
        """Say which."""
        return f"halt the process of {self.unit}"
