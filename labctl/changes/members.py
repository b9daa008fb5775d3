"""Members of groups of the system: what a service's user may do besides its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl import quoting
from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State
from labctl.errors import InputError

# The tool keeps copies of how the files were: they would tell. Times stay, as with every file that a fault changes.
_KEPT = (
    "set -e; group=$(stat -c @%.9Y /etc/group); shadow=$(stat -c @%.9Y /etc/gshadow); folder=$(stat -c @%.9Y /etc); "
    "gpasswd {verb} {user} {group} >/dev/null; "
    'cat /etc/group >/etc/group-; cat /etc/gshadow >/etc/gshadow-; touch -d "$group" /etc/group /etc/group-; '
    'touch -d "$shadow" /etc/gshadow /etc/gshadow-; touch -d "$folder" /etc'
)


class Members:
    """Members by `GROUP USER`."""

    name = "member"

    def look(self, context: Context, target: str) -> State:
        """Return whether the user is in the group.

        Raises:
            InputError: there is no such group.
        """
        group, user = target.split()
        said = context.ask(f"getent group {quoting.shell(group)}")
        if not said.ok:
            raise InputError(f"{context.guest.name} has no group {group}")
        return {"in": user in said.stdout.strip().rpartition(":")[2].split(",")}

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Put the user into the group, or out of it; who runs learns of it when it starts anew."""
        group, user = map(quoting.shell, target.split())
        context.run(_KEPT.format(verb="-a" if wanted["in"] else "-d", user=user, group=group), timeout=60)

    def same(self, one: State, other: State) -> bool:
        """Whether the user is in for both, or out."""
        return one == other

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        group, user = target.split()
        return f"{group}: {'+' if wanted['in'] else '-'} {user}"


MEMBERS: Kind = Members()


@dataclass(frozen=True, kw_only=True)
class Member(Change):
    """Takes a service's user out of a group.

    Attributes:
        user: never one that people log in as.
    """

    kind: ClassVar[Kind] = MEMBERS
    group: str
    user: str

    @property
    def target(self) -> str:
        """Group and user."""
        return f"{self.group} {self.user}"

    def judge(self, now: State) -> State:
        """Return the user out.

        Raises:
            InputError: the user is out already.
        """
        if not now["in"]:
            raise InputError(f"{self.user} is not in the group {self.group}")
        return {"in": False}

    def describe(self) -> str:
        """Say which."""
        return f"take {self.user} out of the group {self.group}"
