"""Locks of the state folder: one file each, in name spaces, exclusive or shared.

The kernel drops a lock when its holder ends, however it ends. A file is named KIND:NAME; no quoted name has a colon. A
team called `owner` and labctl's own lock of that name are two.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TextIO
from urllib.parse import quote

from labctl.errors import LockedError
from labctl.modes import private

Kind = Literal["lab", "check", "shell", "events", "image", "golden", "memory", "home", "door"]
"""Name spaces: a team's lab, checks that change it, a shell in it, its events, an image, a golden set, a volume with
memory, the state folder itself, the classroom's door."""

_LOOK = 0.05  # seconds between looks whether a lock is free


@contextlib.contextmanager
def held(folder: Path, kind: Kind, name: str, *, shared: bool, wait: float) -> Iterator[None]:
    """Hold a lock; see `Home.lock`."""
    path = folder / f"{kind}:{quote(name, safe='')}"
    private(folder)
    # Another holder of a shared lock holds it exclusively while it looks whether it is the last one.
    deadline = time.monotonic() + max(wait, 1.0 if shared else 0.0)
    with _taken(path, what=f"{kind} {name}", shared=shared, deadline=deadline) as file:
        try:
            # On a full disk the number is missing, which only makes a refusal say less: destroy must work there.
            with contextlib.suppress(OSError):
                if not shared:
                    file.truncate(0)
                os.write(file.fileno(), f"{os.getpid()}\n".encode())
            yield
        finally:
            if not shared or _alone(file):
                _unlink(path, file)


@contextlib.contextmanager
def _taken(path: Path, *, what: str, shared: bool, deadline: float) -> Iterator[TextIO]:
    """Hold the lock on a file that its last holder deletes at the end, so that no lock files lie about."""
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    while True:
        with path.open("a+") as file:
            try:
                fcntl.flock(file, how | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                if time.monotonic() < deadline:
                    time.sleep(_LOOK)
                    continue
                raise LockedError(
                    f"another labctl ({_holders(file)}) is at work on {what}",
                    remedy="Wait until it ends, then run the command again.",
                ) from exc
            if _same(path, file):  # otherwise its last holder deleted it
                yield file
                return


def _alone(file: TextIO) -> bool:
    """Turn a shared lock into an exclusive one; whether nobody else holds it."""
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _unlink(path: Path, file: TextIO) -> None:
    """Delete the file that we hold exclusively, unless another one has its name by now."""
    if _same(path, file):
        path.unlink(missing_ok=True)


def _same(path: Path, file: TextIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _holders(file: TextIO) -> str:
    """Name the processes that wrote themselves into a lock and still run."""
    file.seek(0)
    numbers = [line for line in dict.fromkeys(file.read().split()) if Path("/proc", line).is_dir()]
    return f"process {', '.join(numbers) or '?'}"
