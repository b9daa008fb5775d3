"""How long checks may take: as planned, or as the healthy lab's own times say; and how fast the lab is at present."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from labctl.checks.model import Report, Result, Verdict

Times = Mapping[str, Sequence[float]]
"""Check, or check and step, to the seconds that they took in the last green runs."""

_KEPT = 3  # green runs whose times count
_TIMES = 4.0  # how much longer than the slowest of them a step may take
_LEAST = 0.2  # seconds: shorter steps say nothing about the lab's pace
_RECENT = 5  # steps that say how fast the lab is now


@dataclass(kw_only=True, eq=False)
class Limits:
    """One run's limits.

    Attributes:
        virt: kvm or qemu.
        times: of the healthy lab; empty where none are on record.
        pace: how many times slower than the healthy lab this run is at present; never below 1.
        slowest: how many times slower than the healthy lab the run's slowest five steps in a row were.
    """

    virt: str
    times: Times = field(default_factory=dict)
    slowest: float = 1.0
    _seen: list[float] = field(default_factory=list)
    _measured: float = 1.0

    @property
    def pace(self) -> float:
        """Return how many times slower than the healthy lab the last steps were."""
        recent = self._seen[-_RECENT:]
        return max(1.0, self._measured, statistics.median(recent) if recent else 1.0)

    def of(self, what: str, seconds: tuple[float, float]) -> float:
        """Return the limit of a step or check, in seconds.

        Args:
            what: as in the lab's times.
            seconds: the planned limits on KVM and on emulated nodes. They count where the lab's times are not known;
                else the limit is not below the first, and not above twice the second.
        """
        kvm, emulated = seconds
        if not (known := self.times.get(what)):
            return emulated if self.virt == "qemu" else kvm
        return min(max(kvm, _TIMES * max(known) * self.pace), 2 * emulated)

    def note(self, what: str, seconds: float) -> None:
        """Learn from a step that went well how fast the lab is now."""
        if (ratio := self._ratio(what, seconds)) is not None:
            self._seen.append(ratio)
            if len(self._seen) >= _RECENT:
                self.slowest = max(self.slowest, statistics.median(self._seen[-_RECENT:]))

    def measured(self, what: str, seconds: float) -> None:
        """Take a step that was repeated for that as the lab's pace from now on."""
        if (ratio := self._ratio(what, seconds)) is not None:
            self._measured = ratio

    def _ratio(self, what: str, seconds: float) -> float | None:
        usual = max(self.times.get(what, (0.0,)))
        return seconds / usual if usual >= _LEAST else None


def learnt(times: Times, report: Report) -> dict[str, list[float]]:
    """Return a lab's times with those of a green run."""
    found = {what: list(each) for what, each in times.items()}
    for what, seconds in _took(report.results).items():
        found[what] = [*found.get(what, []), seconds][-_KEPT:]
    return found


def _took(results: Sequence[Result]) -> dict[str, float]:
    """Return how long checks and their steps took, the slowest where several bear one name."""
    took: dict[str, float] = {}
    for result in results:
        if result.verdict is Verdict.PASS:
            took[result.name] = result.seconds
            for step in result.steps:
                if step.verdict is Verdict.PASS and step.seconds > 0:
                    what = f"{result.name} {step.name}"
                    took[what] = max(took.get(what, 0.0), step.seconds)
    return took
