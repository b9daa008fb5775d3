"""Reads which Debian packages labctl needs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """When a package is needed."""

    RUN = "run"
    IMAGE = "image"
    BUILD = "build"
    TEST = "test"
    BENCH = "bench"


@dataclass(frozen=True, kw_only=True)
class Package:
    """One Debian package.

    Attributes:
        programs: what it brings that labctl calls; empty when no program tells whether it is there.
        purpose: what for, a few words.
    """

    kind: Kind
    name: str
    programs: tuple[str, ...]
    purpose: str


def known() -> tuple[Package, ...]:
    """Return all packages, in the order of packages.txt."""
    return parse((Path(__file__).parent / "packages.txt").read_text())


def parse(text: str) -> tuple[Package, ...]:
    """Read lines of the form `kind package program,program # purpose`; `-` stands for no program."""
    found = []
    for line in text.splitlines():
        entry, _, purpose = line.partition("#")
        if entry.split():
            kind, name, programs = entry.split()
            listed = () if programs == "-" else tuple(programs.split(","))
            found.append(Package(kind=Kind(kind), name=name, programs=listed, purpose=purpose.strip()))
    return tuple(found)
