"""Compute nodes in Nova's cells: whether the scheduler may know one; by Nova's own tool, on the API's node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl import quoting
from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State
from labctl.errors import InputError, RemoteError


class CellHosts:
    """Compute nodes by their names."""

    name = "cell-host"

    def look(self, context: Context, target: str) -> State:
        """Return the cell that the node is mapped to, None where it is in none.

        Raises:
            RemoteError: Nova does not say.
        """
        said = context.ask(_manage("cell_v2 list_hosts"), timeout=120)
        if not said.ok:
            raise RemoteError(f"{context.guest.name}: Nova does not say which hosts it knows", details=said.tail())
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in said.stdout.splitlines()]
        return {"cell": next((row[1] for row in rows if len(row) == 3 and row[2] == target), None)}

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Take the mapping away, or have Nova look for nodes that have none."""
        if wanted["cell"] is None:
            words = quoting.shell_line(["--cell_uuid", now["cell"], "--host", target])
            context.run(_manage(f"cell_v2 delete_host {words}"), timeout=120)
        else:
            context.run(_manage("cell_v2 discover_hosts"), timeout=120)

    def same(self, one: State, other: State) -> bool:
        """Whether both are in the same cell, or in none."""
        return one == other

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        return f"{target}: in cell: {now['cell'] or 'none'} -> {wanted['cell'] or 'none'}"


CELL_HOSTS: Kind = CellHosts()


@dataclass(frozen=True, kw_only=True)
class Unmapped(Change):
    """Takes a compute node out of its cell; Nova refuses where the node has servers."""

    kind: ClassVar[Kind] = CELL_HOSTS
    host: str

    @property
    def target(self) -> str:
        """The node."""
        return self.host

    def judge(self, now: State) -> State:
        """Return it in no cell.

        Raises:
            InputError: it is in none already.
        """
        if now["cell"] is None:
            raise InputError(f"{self.host} is in no cell")
        return {"cell": None}

    def describe(self) -> str:
        """Say which."""
        return f"take {self.host} out of its cell"


def _manage(words: str) -> str:
    return f"runuser -u nova -- nova-manage {words}"
