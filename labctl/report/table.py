"""Lays rows of text out in columns."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows below their headings, columns two spaces apart; no line ends in spaces."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(headings, *texts, strict=True)]
    lines = [headings, *texts]
    return "\n".join("  ".join(map(_pad, line, widths)).rstrip() for line in lines)


def width(text: str) -> int:
    """Return how many columns a terminal needs for the text."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _pad(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))
