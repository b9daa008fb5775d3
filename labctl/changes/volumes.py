"""Logical volumes of LVM that take the room of a volume group; no byte of them is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl import quoting
from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State
from labctl.errors import InputError
from labctl.sizes import MIB


class LogicalVolumes:
    """Logical volumes by `GROUP/NAME`, and how much they leave to others."""

    name = "logical-volume"

    def look(self, context: Context, target: str) -> State:
        """Return whether it is there, and how many bytes its group has left.

        Raises:
            InputError: there is no such group.
        """
        group = quoting.shell(target.partition("/")[0])
        free = context.ask(f"vgs --noheadings --nosuffix --units b -o vg_free {group}")
        if not free.ok:
            raise InputError(f"{context.guest.name} has no volume group {target.partition('/')[0]}")
        there = context.holds(f"lvs {quoting.shell(target)} >/dev/null 2>&1")
        return {"there": there, "free": int(free.stdout.strip())}

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Make it, so large that only what is wanted is left, or remove it; it is never active."""
        group, _, name = target.partition("/")
        if not wanted["there"]:
            context.run(f"lvremove -qq -f {quoting.shell(target)}", timeout=120)
            return
        size = now["free"] - wanted["free"]
        # Not active, so there is no device that signatures could be wiped of, nor udev to wait for.
        line = quoting.shell_line(["lvcreate", "-qq", "-an", "-Zn", "-Wn", "-L", f"{size}b", "-n", name, group])
        context.run(line, timeout=120)

    def same(self, one: State, other: State) -> bool:
        """Whether it is there in both, or in none; what others take of the group is theirs."""
        return bool(one["there"] == other["there"])

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        return f"{target}: {'made' if wanted['there'] else 'removed'}, {wanted['free'] // MIB} MiB left in its group"


VOLUMES: Kind = LogicalVolumes()


@dataclass(frozen=True, kw_only=True)
class LogicalVolume(Change):
    """Takes nearly all the room of a volume group.

    Attributes:
        group: the volume group.
        name: of the volume.
        left: MiB that others may still have.
    """

    kind: ClassVar[Kind] = VOLUMES
    group: str
    name: str
    left: int

    @property
    def target(self) -> str:
        """Group and name."""
        return f"{self.group}/{self.name}"

    def judge(self, now: State) -> State:
        """Return that it is there.

        Raises:
            InputError: it is there already, or the group has not even so much left.
        """
        if now["there"] or now["free"] <= self.left * MIB:
            raise InputError(f"{self.group} has no room for {self.name}")
        return {"there": True, "free": self.left * MIB}

    def describe(self) -> str:
        """Say which."""
        return f"leave {self.left} MiB of the volume group {self.group}, the rest to {self.name}"
