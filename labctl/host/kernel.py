"""Calls the kernel where Python 3.11 has no function of its own: namespaces and mounts."""

from __future__ import annotations

import ctypes
import os

NEW_NET = 0x40000000
NEW_MOUNT = 0x00020000

MOUNT_BIND = 0x1000
MOUNT_RECURSIVE = 0x4000
MOUNT_PRIVATE = 0x40000

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str | None = None, flags: int = 0) -> None:
    """Mount `source` on `target`.

    Args:
        source: device, folder or file; any word for a file system without a device.
        target: existing folder or file.
        kind: file system type; None for a bind mount or a change of propagation.
        flags: the MOUNT_ constants, or-ed.

    Raises:
        OSError: the kernel refused.
    """
    _check(
        _libc.mount(source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags), None),
        target,
    )


def setns(descriptor: int, kind: int) -> None:
    """Move the calling thread into the namespace that `descriptor` is open on; raises OSError."""
    _check(_libc.setns(descriptor, kind), "setns")


def unshare(kinds: int) -> None:
    """Give the calling thread new namespaces of the kinds that are or-ed; raises OSError."""
    _check(_libc.unshare(kinds), "unshare")


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
