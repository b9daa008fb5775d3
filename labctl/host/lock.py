"""Keeps two runs from starting or stopping one private host at once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from labctl import locking, waiting
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
    descriptor = waiting.until(partial(_taken, folder, create=create), seconds=timeout, pause=0.05)
    if descriptor is None:
        raise LockedError(
            f"Another labctl starts or stops the private host in {folder}", remedy="Wait for it, then try again."
        )
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(folder: Path, *, create: bool) -> int | None:
    """Take the lock; None where another run holds it, or a purge removes it just now."""
    if create:
        _make(folder)
    return locking.take(folder / "lock")


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
