"""Drop-ins of units: files that systemd reads beside a unit's own, once it is told to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from labctl import quoting
from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State
from labctl.changes.files import Files, whole

_FOLDER = "/etc/systemd/system"


class DropIns(Files):
    """Drop-ins by their paths; systemd is told to read all its files again."""

    name = "drop-in"

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Write or remove it, the folder of a unit's drop-ins too where it is the only one."""
        folder, above = quoting.shell(target.rpartition("/")[0]), quoting.shell(_FOLDER)
        keep = f"then=$(stat -c @%.9Y {above}); trap 'touch -d \"$then\" {above}' EXIT; "
        if wanted["kind"] != "absent":
            # A new folder is as old as the one that it is in, like all that a fault leaves behind.
            context.run(f'{keep}test -d {folder} || {{ mkdir {folder} && touch -d "$then" {folder}; }}', timeout=60)
        super().become(context, target, now, wanted)
        empty = f"rmdir --ignore-fail-on-non-empty {folder}; " if wanted["kind"] == "absent" else ""
        context.run(f"{keep}{empty}systemctl daemon-reload", timeout=120)


DROPINS: Kind = DropIns()


@dataclass(frozen=True, kw_only=True)
class DropIn(Change):
    """Gives a unit settings beside its own.

    Attributes:
        unit: its whole name, with its kind: nova-conductor.service.
        name: of the file, without its end.
        values: section to option to value.
    """

    kind: ClassVar[Kind] = DROPINS
    unit: str
    name: str
    values: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """The file."""
        return f"{_FOLDER}/{self.unit}.d/{self.name}.conf"

    def judge(self, now: State) -> State:
        """Return the file with the settings."""
        sections = (
            "\n".join([f"[{section}]", *(f"{key}={value}" for key, value in options.items())])
            for section, options in self.values.items()
        )
        return whole("\n\n".join(sections) + "\n")

    def describe(self) -> str:
        """Say which unit, and the settings."""
        said = ", ".join(f"{key}={value}" for options in self.values.values() for key, value in options.items())
        return f"give {self.unit} the drop-in {self.name}: {said}"
