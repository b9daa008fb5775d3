"""Locks of the state folder: one file each, in name spaces, exclusive or shared.

The kernel drops a lock when its holder ends, however it ends. A file is named KIND:NAME, and quoted names have no
colon. So a team called `owner` and labctl's own lock `owner` are two different locks.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from labctl import locking, waiting
from labctl.errors import LockedError
from labctl.modes import private

Kind = Literal["lab", "check", "shell", "events", "image", "golden", "memory", "origin", "home", "door"]
"""Name spaces: a team's lab, checks that change it, a shell in it, its events, an image, a golden set, a volume with
memory, the first of many labs, the state folder itself, the classroom's door."""

_LOOK = 0.05  # seconds between looks whether a lock is free


@contextlib.contextmanager
def held(folder: Path, kind: Kind, name: str, *, shared: bool, wait: float) -> Iterator[None]:
    """Hold a lock; see `Home.lock`."""
    path = folder / f"{kind}:{quote(name, safe='')}"
    private(folder)
    # Another holder of a shared lock holds it exclusively while it looks whether it is the last one.
    patience = max(wait, 1.0 if shared else 0.0)
    lock = waiting.until(partial(locking.take, path, shared=shared), seconds=patience, pause=_LOOK)
    if lock is None:
        raise LockedError(
            f"another labctl ({_holders(path)}) is at work on {kind} {name}",
            remedy="Wait until it ends, then run the command again.",
        )
    try:
        # On a full disk the number is missing, which only makes a refusal say less: destroy must work there.
        with contextlib.suppress(OSError):
            if not shared:
                os.truncate(lock, 0)
            os.write(lock, f"{os.getpid()}\n".encode())
        yield
    finally:
        if (not shared or locking.alone(lock)) and locking.still(path, lock):
            path.unlink(missing_ok=True)
        os.close(lock)


def sweep(folder: Path, team: str) -> None:
    """Delete the lock files of a team's lab that ended processes left; locks that are held stay."""
    for path in folder.glob(f"*:{quote(team, safe='')}*"):
        _, _, name = path.name.partition(":")
        if name.partition(".")[0] == quote(team, safe="") and (lock := locking.take(path)) is not None:
            path.unlink(missing_ok=True)
            os.close(lock)


def _holders(path: Path) -> str:
    """Name the processes that wrote themselves into a lock and still run."""
    with contextlib.suppress(OSError):
        numbers = [line for line in dict.fromkeys(path.read_text().split()) if Path("/proc", line).is_dir()]
        return f"process {', '.join(numbers) or '?'}"
    return "process ?"
