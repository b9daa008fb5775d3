"""Keeps two runs from starting or stopping one private host at once."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from labctl.errors import LockedError
from labctl.modes import private


@contextlib.contextmanager
def locked(folder: Path, *, timeout: float, create: bool = False) -> Iterator[int]:
    """Hold the state folder's lock, and give its descriptor.

    The lock ends when the last descriptor on it is closed, also those that a started process inherits.

    Args:
        timeout: seconds to wait for another run.
        create: make the state folder when it is not there.

    Raises:
        LockedError: another run holds it all that time.
    """
    deadline = time.monotonic() + timeout
    while True:
        descriptor = _open(folder, create=create)
        try:
            if descriptor is not None and _taken(descriptor) and _same(descriptor, folder / "lock"):
                yield descriptor
                return
        finally:
            if descriptor is not None:
                os.close(descriptor)
        if time.monotonic() > deadline:
            raise LockedError(
                f"Another labctl starts or stops the private host in {folder}", remedy="Wait for it, then try again."
            )
        time.sleep(0.05)


def _open(folder: Path, *, create: bool) -> int | None:
    """Open the lock file; None when the folder went away in between."""
    if create:
        _make(folder)
    try:
        return os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None


def _make(folder: Path) -> None:
    """Make the state folder, also while another private host's end removes the empty folder that it is to be in."""
    for last in (False,) * 9 + (True,):
        try:
            private(folder)
        except FileNotFoundError:
            if last:
                raise
        else:
            return


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _same(descriptor: int, path: Path) -> bool:
    """Whether the file that we locked is still the one of that name: a purge removes it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
