"""The one lock: a file that the kernel unlocks when its holder ends, however it ends. Its last holder may delete it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path


def take(path: Path, *, shared: bool = False) -> int | None:
    """Open and lock a file, which is made where it is missing; the lock ends when its descriptor is closed.

    Args:
        shared: beside others who hold it shared.

    Returns:
        The descriptor; None where another process holds the lock, or deletes the file or its folder just now.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    if _locked(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX) and still(path, descriptor):
        return descriptor
    os.close(descriptor)
    return None


def alone(descriptor: int) -> bool:
    """Turn a shared lock into an exclusive one; whether nobody else holds it."""
    return _locked(descriptor, fcntl.LOCK_EX)


def still(path: Path, descriptor: int) -> bool:
    """Whether the file that is open is still the one of that name: whoever deletes it may have been faster."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _locked(descriptor: int, how: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        return True
    return False
