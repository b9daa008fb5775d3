"""Makes the standard streams usable, whatever state our caller left them in."""

from __future__ import annotations

import codecs
import os
import sys
from typing import Any

_STAND_INS = str.maketrans(
    {"✔": "+", "✘": "x", "→": "->", "—": "-", "–": "-", "…": "...", "“": '"', "”": '"', "‘": "'", "’": "'"}
)


def prepare() -> None:
    """Give closed streams /dev/null, and print characters that the locale lacks by stand-ins.

    A closed descriptor would be that of the next file or connection, into which our messages would go.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            _open_nowhere(number)
    sys.stdin = sys.stdin or _stream(0, "r")
    sys.stdout = sys.stdout or _stream(1, "w")
    sys.stderr = sys.stderr or _stream(2, "w")
    codecs.register_error("labctl", _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="labctl")


def _open_nowhere(number: int) -> None:
    opened = os.open(os.devnull, os.O_RDWR)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    os.set_inheritable(number, True)


def _stream(number: int, mode: str) -> Any:
    return open(number, mode, encoding="utf-8", closefd=False)


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_STAND_INS)
    return text.encode(error.encoding, "replace").decode(error.encoding), error.end
