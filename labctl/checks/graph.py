"""The order of checks, what blocks them, and the frontier: pure."""

from __future__ import annotations

import graphlib
from collections.abc import Mapping, Sequence

from labctl.checks.check import Check
from labctl.checks.model import Result, Verdict


def order(checks: Sequence[Check]) -> list[Check]:
    """Return checks so that each comes after those that it needs, as far as these are among them; ties by ID."""
    by_id = {check.id: check for check in checks}
    graph = {name: sorted(set(check.needs) & by_id.keys()) for name, check in sorted(by_id.items())}
    return [by_id[name] for name in graphlib.TopologicalSorter(graph).static_order()]


def verdicts(results: Sequence[Result]) -> dict[str, Verdict]:
    """Return check, or part of one, to its verdict."""
    return {result.name: result.verdict for result in results}


def blocked_by(check: Check, known: Mapping[str, Verdict]) -> str | None:
    """Return the first check that this one needs and that is not green; one that was not run blocks nothing."""
    bad = (Verdict.FAIL, Verdict.ERROR, Verdict.BLOCKED)
    return next((need for need in check.needs if known.get(need) in bad), None)


def frontier(checks: Sequence[Check], results: Sequence[Result]) -> tuple[str, ...]:
    """Return the checks that are red while all that they need is green, in order."""
    known = verdicts(results)
    return tuple(
        check.id
        for check in order(checks)
        if known.get(check.id) in (Verdict.FAIL, Verdict.ERROR) and blocked_by(check, known) is None
    )
