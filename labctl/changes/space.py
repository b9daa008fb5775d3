"""Room in file systems: files that fill them, and folders of empty files that use their inodes up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl import quoting
from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State

KEPT = 100
"""MiB that root keeps: 1 % of a node's file system is for root alone, and SSH lives on it."""


class Fillers:
    """Files that take room without a byte being written: `fallocate`."""

    name = "filler"

    def look(self, context: Context, target: str) -> State:
        """Return how many bytes a file takes, None where there is none."""
        said = context.ask(f"stat -c %s {quoting.shell(target)}")
        return {"bytes": int(said.stdout) if said.ok else None}

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Make the file as large as the room of users other than root, or remove it; its folder's time stays."""
        path = quoting.shell(target)
        folder = quoting.shell(target.rpartition("/")[0] or "/")
        keep = f"set -e; then=$(stat -c @%.9Y {folder}); "
        if wanted["bytes"] is None:
            context.run(f'{keep}rm -f {path}; touch -d "$then" {folder}', timeout=120)
            return
        # Blocks of the file system itself come on top, so the first try may be a little too much.
        fill = (
            f"while room=$(df --output=avail -B1024 {folder} | tail -1); test $room -gt 64; do "
            f"size=$(stat -c %s {path} 2>/dev/null || echo 0); "
            f"fallocate -l $((size + room * 1024)) {path} 2>/dev/null || "
            f"fallocate -l $((size + room * 1000)) {path} || break; done; "
        )
        context.run(f'{keep}{fill}touch -d "$then" {path} {folder}', timeout=120)

    def same(self, one: State, other: State) -> bool:
        """Whether there is such a file in both, or in none."""
        return (one["bytes"] is None) == (other["bytes"] is None)

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        return f"{target}: {now['bytes']} -> {wanted['bytes']} bytes"


class Crowds:
    """Folders that hold nothing but empty files, as many as the file system has inodes for."""

    name = "crowd"

    def look(self, context: Context, target: str) -> State:
        """Return whether there is such a folder."""
        return {"there": context.holds(f"test -d {quoting.shell(target)}")}

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Make files until there is no inode left but a few for root's own, or remove them; its parent's time stays."""
        path = quoting.shell(target)
        parent = quoting.shell(target.rpartition("/")[0] or "/")
        keep = f"set -e; then=$(stat -c @%.9Y {parent}); "
        if not wanted["there"]:
            context.run(f'{keep}rm -rf {path}; touch -d "$then" {parent}', timeout=300)
            return
        fill = (
            f"mkdir -p {path}; cd {path}; n=$(df --output=iavail . | tail -1); test $n -gt 40 && "
            "seq -f sess_%06.0f 1 $((n - 20)) | xargs touch; "
        )
        context.run(f'{keep}{fill}touch -d "$then" {path} {parent}', timeout=300)

    def same(self, one: State, other: State) -> bool:
        """Whether there is such a folder in both, or in none."""
        return bool(one["there"] == other["there"])

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        return f"{target}: {'there' if wanted['there'] else 'gone'}"


FILLERS: Kind = Fillers()
CROWDS: Kind = Crowds()


@dataclass(frozen=True, kw_only=True)
class Filler(Change):
    """Fills a file system, but for root's reserve, with one file."""

    kind: ClassVar[Kind] = FILLERS
    path: str

    @property
    def target(self) -> str:
        """The file."""
        return self.path

    def judge(self, now: State) -> State:
        """Return that it is there; how large it comes out is seen afterwards."""
        return {"bytes": now["bytes"] or 0}

    def describe(self) -> str:
        """Say where."""
        return f"fill the file system of {self.path}"


@dataclass(frozen=True, kw_only=True)
class Inodes(Change):
    """Uses a file system's inodes up with empty files in one new folder."""

    kind: ClassVar[Kind] = CROWDS
    path: str

    @property
    def target(self) -> str:
        """The folder."""
        return self.path

    def judge(self, now: State) -> State:
        """Return that it is there."""
        return {"there": True}

    def describe(self) -> str:
        """Say where."""
        return f"use up the inodes of the file system of {self.path}"
