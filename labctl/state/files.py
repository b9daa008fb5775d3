"""Files of the state folder: private, written all or nothing."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from labctl.errors import CapacityError
from labctl.modes import private


def write_atomically(path: Path, text: str) -> None:
    """Write a file that only its owner may read, beside its name first, then renamed.

    Raises:
        CapacityError: the file system is full; the file is as it was.
    """
    try:
        _write_atomically(path, text)
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise CapacityError(
            f"cannot write {path}",
            details=f"{exc.strerror}. Nothing was lost: the file is as it was.",
            remedy=f"Make room (df {path.parent}), then run the command again. labctl destroy TEAM needs none.",
        ) from exc


def _write_atomically(path: Path, text: str) -> None:
    private(path.parent)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
