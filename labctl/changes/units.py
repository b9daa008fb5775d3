"""Units of systemd: on or off for the installer, and each of their two states for whoever breaks and mends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from labctl import quoting
from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State


class Units:
    """Units, several names in one target; a unit's state is whether it is enabled and whether it is active."""

    name = "unit"

    def look(self, context: Context, target: str) -> State:
        """Return unit to its two states, as systemctl says them."""
        names = target.split()
        words = quoting.shell_line(names)
        said = context.ask(f"systemctl is-enabled {words}; systemctl is-active {words}").stdout.split()
        return {
            name: {"enabled": said[number], "active": said[len(names) + number]} for number, name in enumerate(names)
        }

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Mask, unmask, enable, disable, start and stop what differs."""
        for name in target.split():
            word, before, after = quoting.shell(name), now[name], wanted[name]
            if before["enabled"] != after["enabled"]:
                if _masked(before) and not _masked(after):
                    context.run(_KEPT.format(f"systemctl unmask {_runtime(before)}{word}"), timeout=60)
                    before = {**before, "enabled": after["enabled"]}  # its links were never gone
                if _masked(after):
                    context.run(_KEPT.format(f"systemctl mask {_runtime(after)}{word}"), timeout=60)
                elif before["enabled"] != after["enabled"] and after["enabled"] in ("enabled", "disabled"):
                    verb = after["enabled"].removesuffix("d")
                    context.run(f"SYSTEMCTL_SKIP_SYSV=1 systemctl {verb} {word}", timeout=60)
            if _active(before) != _active(after):
                context.run(f"systemctl --quiet {'start' if _active(after) else 'stop'} {word}", timeout=60)

    def same(self, one: State, other: State) -> bool:
        """Whether the units are enabled and active alike; a unit that failed is as inactive as one that was stopped."""
        return {name: (each["enabled"], _active(each)) for name, each in one.items()} == {
            name: (each["enabled"], _active(each)) for name, each in other.items()
        }

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return the states that differ."""
        return "\n".join(
            f"{name}: {' '.join(now[name].values())} -> {' '.join(wanted[name].values())}"
            for name in target.split()
            if now[name] != wanted[name]
        )


UNITS: Kind = Units()


@dataclass(frozen=True, kw_only=True)
class UnitState(Change):
    """Stops a unit, masks it, or the contrary; what is None stays.

    Attributes:
        active: whether it runs.
        enabled: as systemctl says it: enabled, disabled, masked, masked-runtime.
    """

    kind: ClassVar[Kind] = UNITS
    name: str
    active: bool | None = None
    enabled: Literal["enabled", "disabled", "masked", "masked-runtime"] | None = None

    @property
    def target(self) -> str:
        """The unit."""
        return self.name

    def judge(self, now: State) -> State:
        """Return the unit's states as they are to be."""
        states = now[self.name]
        active = states["active"] if self.active is None else "active" if self.active else "inactive"
        return {self.name: {"enabled": self.enabled or states["enabled"], "active": active}}

    def describe(self) -> str:
        """Say which states."""
        words = {True: "running", False: "stopped", None: ""}
        return " ".join(filter(None, ("have", self.name, words[self.active], self.enabled)))


@dataclass(frozen=True, kw_only=True)
class Unit(Change):
    """Brings systemd units into a state.

    Attributes:
        names: units, started together.
        on: enabled and running, or disabled and stopped.
        seconds: that one start may take on bare metal.
    """

    alone = False
    kind: ClassVar[Kind] = UNITS
    names: tuple[str, ...]
    on: bool = True
    seconds: float = 60.0

    @property
    def target(self) -> str:
        """The units."""
        return " ".join(self.names)

    def judge(self, now: State) -> State:
        """Return the units on, or off."""
        if not self.on:
            return {
                name: {
                    "enabled": "disabled" if each["enabled"] == "enabled" else each["enabled"],
                    "active": "inactive" if each["active"] in ("active", "activating") else each["active"],
                }
                for name, each in now.items()
            }
        return {
            name: {
                "enabled": each["enabled"] if each["enabled"] in ("static", "alias", "indirect") else "enabled",
                "active": "active",
            }
            for name, each in now.items()
        }

    def apply(self, context: Context) -> bool:
        """Enable and start, or stop and disable; what runs is restarted when its configuration changed."""
        now = self.kind.look(context, self.target)
        wanted = self.judge(now)
        words = quoting.shell_line(self.names)
        if not self.on:
            if now == wanted:
                return False
            context.act(f"$ systemctl disable --now {words}")
            context.run(f"systemctl disable --quiet --now {words}", timeout=self.seconds)
            return True
        did = False
        if any(_masked(each) for each in now.values()):
            context.act(f"$ systemctl unmask {words}")
            context.run(f"systemctl unmask --quiet {words}", timeout=60)
        if any(now[name]["enabled"] != wanted[name]["enabled"] for name in self.names):
            context.act(f"$ systemctl enable {words}")
            # Without a reload and without the SysV scripts' links, which take half a minute in an emulated node.
            context.run(f"SYSTEMCTL_SKIP_SYSV=1 systemctl enable --quiet --no-reload {words}", timeout=60)
            did = True
        verb = "restart" if context.changed else "start"
        late = [name for name in self.names if now[name]["active"] != "active" or context.changed]
        if late:
            words = quoting.shell_line(late)
            context.act(f"$ systemctl {verb} {words}")
            status = f"systemctl status --no-pager --lines=20 {words}"
            seconds = self.seconds * len(late)
            context.run(f"systemctl --quiet {verb} {words} || {{ {status}; exit 1; }}", timeout=seconds)
            did = True
        return did

    def describe(self) -> str:
        """Say the units and their state."""
        return f"{'enable and start' if self.on else 'stop and disable'} {' '.join(self.names)}"


# The folder of links shows no trace.
_KEPT = 'then=$(stat -c @%.9Y /etc/systemd/system); {}; touch -d "$then" /etc/systemd/system'


def _masked(state: State) -> bool:
    return bool(state["enabled"].startswith("masked"))


def _runtime(state: State) -> str:
    return "--runtime " if state["enabled"] == "masked-runtime" else ""


def _active(state: State) -> bool:
    return state["active"] in ("active", "activating", "reloading")
