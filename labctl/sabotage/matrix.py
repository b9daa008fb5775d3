"""The measured matrix: what was seen of each fault on living labs. What was never seen to work is not drawn."""

from __future__ import annotations

import functools
import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from labctl.errors import InputError
from labctl.sabotage.fault import Fault

SHIPPED = Path(__file__).with_name("verified.json")
BENCH = "container"
"""Where a row comes from that was seen in a baked disk's container: a hint that a fault works, and no proof."""
_SLOW = 2.0  # times the median of its topology that a fault takes to show and to mend


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What was seen of a fault, or of one variant of it.

    Attributes:
        red: checks that turned red, and what they said.
        seconds: that inject, detect, repair and heal took.
        alternative, cheat: whether the alternative repair was good and the cheat was not; None where there is none.
        points: what `repair`, `alternative` and `cheat` are worth in a round to a team that has found the fault, in
            percent of its points.
        meets: for one of the tutorial's eleven, the line that a learner types and what comes; empty for others.
        trouble: what it did not do; empty when it does what it says.
    """

    fault: str
    level: int
    virt: str
    topology: str
    node: str
    variant: str = ""
    red: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    alternative: bool | None = None
    cheat: bool | None = None
    points: dict[str, int] = field(default_factory=dict)
    meets: dict[str, str] = field(default_factory=dict)
    trouble: str = ""

    @property
    def ok(self) -> bool:
        """Whether it does what it says."""
        return not self.trouble

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What one row of the matrix is about."""
        return self.fault, self.variant, self.topology, self.virt


def read(text: str | None) -> list[Verified]:
    """Read rows that `write` wrote.

    Raises:
        ValueError, TypeError: it is something else.
    """
    return [Verified(**document) for document in json.loads(text or "[]")]


def kept(text: str | None) -> list[Verified]:
    """Read rows that only save time; none where they are something else."""
    try:
        return read(text)
    except (ValueError, TypeError):
        return []


def write(rows: Iterable[Verified]) -> str:
    """Return rows as JSON, in order."""
    found = sorted(rows, key=lambda each: each.key)
    return json.dumps([asdict(each) for each in found], indent=1, ensure_ascii=False) + "\n"


def of(file: Path) -> list[Verified]:
    """Return the rows of a file; none where there is no such file.

    Raises:
        InputError: it holds something else.
    """
    try:
        return read(file.read_text() if file.exists() else None)
    except (ValueError, TypeError) as exc:
        raise InputError(f"{file} is no matrix of faults", remedy="Name another file.") from exc


def merge(file: Path, new: Iterable[Verified]) -> None:
    """Write rows into a file, which is made where there is none, in the place of older ones about the same.

    Raises:
        InputError: it holds something else.
    """
    file.write_text(write({each.key: each for each in (*of(file), *new)}.values()))


@functools.cache
def shipped() -> tuple[Verified, ...]:
    """Return the rows that come with this version of labctl."""
    return tuple(read(SHIPPED.read_text()))


def proven(fault: Fault) -> frozenset[str]:
    """Return the variants of a fault that were seen to do what they say, on nodes that had booted."""
    rows = [row for row in shipped() if row.fault == fault.id and row.virt != BENCH]
    return frozenset(row.variant for row in rows if row.ok) - {row.variant for row in rows if not row.ok}


def weight(fault: Fault) -> float:
    """Return how hard a fault is within its level: one that takes long to show or to mend counts twice."""
    times = [_time(row) for row in shipped() if row.fault == fault.id and row.ok and row.virt != BENCH]
    return fault.weight * (2.0 if times and statistics.mean(times) > _SLOW else 1.0)


def _time(row: Verified) -> float:
    """Return how long a fault took to show and to mend, in medians of all on such nodes."""
    same = [_seconds(each) for each in shipped() if each.ok and (each.topology, each.virt) == (row.topology, row.virt)]
    return _seconds(row) / (statistics.median(same) or 1.0)


def _seconds(row: Verified) -> float:
    return row.seconds.get("detect", 0.0) + row.seconds.get("repair", 0.0)
