"""Room in file systems: files that fill them, and small ones mounted over folders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl import quoting
from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State
from labctl.errors import InputError


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
        """Whether a filler is there in both, or the same in both; how large one comes out, others' files decide."""
        sizes = one["bytes"], other["bytes"]
        return bool(sizes[0] == sizes[1]) or all(
            size == _PLANNED or (size is not None and size > _LARGE) for size in sizes
        )

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        return f"{target}: {now['bytes']} -> {wanted['bytes']} bytes"


class Mounts:
    """Small file systems in memory, mounted over folders: they have room for few files, and hide what was there."""

    name = "mount"

    def look(self, context: Context, target: str) -> State:
        """Return the options of what is mounted there, None where nothing is."""
        said = context.ask(f"findmnt -n -o OPTIONS --mountpoint {quoting.shell(target)}")
        return {"options": said.stdout.strip() if said.ok else None}

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Mount or unmount it."""
        path = quoting.shell(target)
        if wanted["options"] is None:
            context.run(f"umount {path} || umount -l {path}", timeout=60)
        else:
            context.run(f"mount -t tmpfs -o {quoting.shell(wanted['options'])} tmpfs {path}", timeout=60)

    def same(self, one: State, other: State) -> bool:
        """Whether something is mounted there in both, or in none; the kernel writes options its own way."""
        return (one["options"] is None) == (other["options"] is None)

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        return f"{target}: {now['options'] or 'nothing mounted'} -> {wanted['options'] or 'nothing mounted'}"


_PLANNED = -1  # bytes: as many as there is room for, which is seen afterwards
_LARGE = 1024**2  # bytes; nobody else's file at such a path is larger

FILLERS: Kind = Fillers()
MOUNTS: Kind = Mounts()


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
        return {"bytes": _PLANNED}

    def describe(self) -> str:
        """Say where."""
        return f"fill the file system of {self.path}"


@dataclass(frozen=True, kw_only=True)
class Mount(Change):
    """Mounts a file system in memory over a folder.

    Attributes:
        options: of tmpfs, nr_inodes=4 for instance.
    """

    kind: ClassVar[Kind] = MOUNTS
    path: str
    options: str

    @property
    def target(self) -> str:
        """The folder."""
        return self.path

    def judge(self, now: State) -> State:
        """Return what is to be mounted.

        Raises:
            InputError: something is mounted there already.
        """
        if now["options"] is not None:
            raise InputError(f"something is mounted on {self.path} already")
        return {"options": self.options}

    def describe(self) -> str:
        """Say where."""
        return f"mount tmpfs ({self.options}) on {self.path}"
