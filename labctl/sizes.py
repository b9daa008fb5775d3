"""Sizes for people: one format for memory, disks and files."""

from __future__ import annotations

KIB, MIB, GIB, TIB = 1024, 1024**2, 1024**3, 1024**4


def size(count: float) -> str:
    """Write a number of bytes: 1.5 GiB, 512 MiB, 0 B."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1023.95:
            return f"{_digits(count)} {unit}"
        count /= 1024
    return f"{_digits(count)} TiB"


def _digits(count: float) -> str:
    """Write a number with one decimal at most, and none from 100 on."""
    return f"{count:.0f}" if abs(count) >= 99.95 else f"{count:.1f}".removesuffix(".0")
