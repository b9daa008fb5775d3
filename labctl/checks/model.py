"""What checks say: steps, results and reports, as frozen data."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from labctl.errors import printable


class Verdict(enum.StrEnum):
    """How a step or a check ended."""

    PASS = "PASS"  # noqa: S105 - no password
    FAIL = "FAIL"
    BLOCKED = "BLOCKED"  # what it needs is red
    ERROR = "ERROR"  # the checker broke; it never counts against a team
    SKIPPED = "SKIPPED"  # the lab has nothing of the kind


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that was looked at.

    Attributes:
        name: a word or two.
        node: where; empty for the lab.
        seconds: that it took.
        evidence: why it failed or was not tried, one line.
        suspect: the service to blame where it failed.
        http, request_id, url: of the request that failed.
    """

    name: str
    verdict: Verdict = Verdict.PASS
    node: str = ""
    seconds: float = 0.0
    evidence: str = ""
    suspect: str = ""
    http: int | None = None
    request_id: str | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "evidence", printable(self.evidence))


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """Who is to blame, and the line that says so."""

    service: str
    node: str
    evidence: str

    def __str__(self) -> str:
        return f"{self.node}: {self.service}" if self.node else self.service


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a check ended.

    Attributes:
        limit: seconds that it may take in this lab; later is slow, which is no failure by itself.
        part: which part of the check it is about; empty for the whole.
        blamed: who the pattern of all results accuses; those count before the steps' own suspects.
    """

    id: str
    verdict: Verdict
    steps: tuple[Step, ...]
    seconds: float
    limit: float
    part: str = ""
    blamed: tuple[Suspect, ...] = ()

    @property
    def name(self) -> str:
        """What the graph calls it: its ID, or C03:glance for a part."""
        return f"{self.id}:{self.part}" if self.part else self.id

    @property
    def first(self) -> Step | None:
        """The first step that decided the verdict; None where all is well."""
        return next((step for step in self.steps if step.verdict == self.verdict != Verdict.PASS), None)

    @property
    def slow(self) -> bool:
        """Whether all is well, but took longer than it may."""
        return self.verdict is Verdict.PASS and self.seconds > self.limit

    @property
    def red(self) -> bool:
        """Whether something is wrong."""
        return self.verdict in _RED

    @property
    def suspects(self) -> tuple[Suspect, ...]:
        """Who is to blame: the pattern's suspects, then the steps' own by their order; three at most."""
        found = {
            (step.suspect, step.node): Suspect(service=step.suspect, node=step.node, evidence=step.evidence)
            for step in reversed(self.steps)
            if step.verdict is Verdict.FAIL and step.suspect
        }
        own = [each for each in reversed(found.values()) if str(each) not in {str(other) for other in self.blamed}]
        return (*self.blamed, *own)[:3]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one run of checks found.

    Attributes:
        run: its ID.
        mode: quick or full.
        started: UTC, ISO 8601.
        frontier: checks that are red while all that they need is green.
        leftovers: what a check made and could not remove.
    """

    run: str
    lab: str
    topology: str
    mode: str
    started: str
    seconds: float
    results: tuple[Result, ...]
    frontier: tuple[str, ...]
    leftovers: tuple[str, ...] = ()

    @property
    def green(self) -> bool:
        """Whether nothing is red and nothing is left over."""
        return not self.leftovers and not any(
            result.red or result.verdict is Verdict.BLOCKED for result in self.results
        )

    @property
    def trouble(self) -> str:
        """What the first three checks found wrong that did not pass; empty where all did."""
        bad = [each for each in self.results if each.verdict not in (Verdict.PASS, Verdict.SKIPPED)]
        return "; ".join(f"{each.name}: {each.first.evidence if each.first else each.verdict}" for each in bad[:3])

    def verdict(self, check: str) -> Verdict:
        """Return the verdict of a check, the worst of its parts, or of a part; SKIPPED where it was not run."""
        return worst(result.verdict for result in self.results if check in (result.id, result.name))


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict that counts: a failure before an error, before a block; skipped only where nothing ran."""
    found = set(verdicts)
    return next((verdict for verdict in _WORST if verdict in found), Verdict.SKIPPED)


_RED = (Verdict.FAIL, Verdict.ERROR)
_WORST = (Verdict.FAIL, Verdict.ERROR, Verdict.BLOCKED, Verdict.PASS)


def judged(trouble: str, *, name: str, node: str, suspect: str, seconds: float = 0.0) -> Step:
    """Return a step that failed where there is any trouble, and else passed."""
    verdict = Verdict.FAIL if trouble else Verdict.PASS
    return Step(name=name, node=node, verdict=verdict, seconds=seconds, evidence=trouble, suspect=suspect)
