"""Reservations: what running commands are about to take from a host, so that other commands count it.

A reservation is a file that its holder keeps locked. The kernel drops the lock when the holder ends, however it ends.
The next reader deletes the file. Whoever makes, reads or drops reservations together with a look at the host holds
one lock for all of that.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from labctl import locking
from labctl.modes import private


@contextlib.contextmanager
def held(folder: Path, text: str) -> Iterator[None]:
    """Show a text to others until the block or the process ends."""
    private(folder)
    path = folder / uuid4().hex
    lock = locking.take(path)
    assert lock is not None, "nobody else has that name"
    try:
        # On a full disk others do not see it, which only makes them less careful.
        with contextlib.suppress(OSError):
            os.write(lock, text.encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(lock)


def every(folder: Path) -> list[str]:
    """Return the texts whose holders live."""
    found = []
    for path in sorted(folder.glob("*")):
        lock = locking.take(path, shared=True)
        if lock is not None:
            path.unlink(missing_ok=True)
            os.close(lock)
            continue
        with contextlib.suppress(FileNotFoundError):
            found.append(path.read_text())
    return found
