"""Writes files of the state folder: readable by their owner alone, all or nothing, or line by line."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from labctl.errors import CapacityError
from labctl.modes import private


def write_atomically(path: Path, text: str | bytes) -> None:
    """Write a file that only its owner may read, beside its name first, then renamed.

    Raises:
        CapacityError: the file system is full; the file is as it was.
    """
    with _room(path):
        _write_atomically(path, text)


def append(path: Path, text: str) -> None:
    """Add whole lines to a file that only its owner may read; they are on disk when this returns.

    A last line without an end, which a crash has left, is cut off first. The caller holds a lock.

    Raises:
        CapacityError: the file system is full; the file is as it was.
    """
    private(path.parent)
    with _room(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "r+b", buffering=0) as file:
            whole = file.read().rfind(b"\n") + 1
            file.truncate(whole)
            try:
                if file.write(text.encode()) != len(text.encode()):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(handle)
            except OSError:
                file.truncate(whole)
                raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def _room(path: Path) -> Iterator[None]:
    """Translate what a full file system says."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise CapacityError(
            f"cannot write {path}",
            details=f"{exc.strerror}. Nothing was lost: the file is as it was.",
            remedy=f"Make room (df {path.parent}), then run the command again. labctl destroy TEAM needs none.",
        ) from exc


def _write_atomically(path: Path, text: str | bytes) -> None:
    private(path.parent)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
