"""Keeps what terminals show, where the organiser asked for it, in files that asciinema plays (asciicast, version 2)."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from labctl import modes
from labctl.errors import LabctlError

TOLD = "Your organiser records what this terminal shows.\r\n"
"""What whoever sits at a terminal reads first."""

_LARGEST = 32 * 1024**2  # bytes of one recording
_USUAL = (80, 24)


class Recording:
    """What one terminal shows. A disk that is full ends the recording, and not the terminal.

    Args:
        file: empty; it is closed at the end.
        size: columns and rows.
        failed: told what went wrong.
    """

    def __init__(self, file: BinaryIO, size: tuple[int, int], *, failed: Callable[[OSError], None]) -> None:
        self._file: BinaryIO | None = file
        self._failed = failed
        self._began = time.monotonic()
        self._left = _LARGEST
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        columns, rows = size if all(size) else _USUAL
        self._write({"version": 2, "width": columns, "height": rows, "timestamp": int(time.time())})

    def show(self, data: bytes) -> None:
        """Keep what was printed now."""
        if text := self._decoder.decode(data):
            self._event("o", text)

    def resize(self, columns: int, rows: int) -> None:
        """Note that the terminal is of another size now."""
        self._event("r", f"{columns}x{rows}")

    def close(self) -> None:
        """End it; safe more than once."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()

    def _event(self, kind: str, text: str) -> None:
        if self._left <= 0:
            return
        self._write([round(time.monotonic() - self._began, 3), kind, text])
        if self._left <= 0:
            self.close()

    def _write(self, what: object) -> None:
        if self._file is None:
            return
        line = json.dumps(what, ensure_ascii=False).encode() + b"\n"
        self._left -= len(line)
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as exc:
            self.close()
            self._failed(exc)


class Recordings:
    """All recordings: a file each, for the organiser alone.

    Args:
        folder: it is made when the first begins.
        failed: told what went wrong.
    """

    def __init__(self, folder: Path, *, failed: Callable[[LabctlError], None]) -> None:
        self._folder, self._tell = folder, failed

    def begin(self, team: str, node: str, size: tuple[int, int]) -> Recording | None:
        """Begin a recording of a terminal on a node; None where it cannot be written, which is told."""
        name = f"{team}-{node}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}.cast"
        try:
            modes.private(self._folder)
            handle = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as exc:
            self._failed(exc)
            return None
        return Recording(os.fdopen(handle, "wb"), size, failed=self._failed)

    def _failed(self, exc: OSError) -> None:
        self._tell(
            LabctlError(
                "a terminal is not recorded any more",
                details=f"{exc.strerror}: {self._folder}",
                remedy="Make room there.",
            )
        )
