"""Runs checks: side by side where they change nothing, alone where they do."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from labctl.checks import ask, graph
from labctl.checks.check import Check, Subject
from labctl.checks.model import Report, Result, Step, Verdict, worst
from labctl.errors import LabctlError

Told = Callable[[Result], None]


def run(subject: Subject, checks: Sequence[Check], *, mode: str, told: Told) -> Report:
    """Run checks in the order of their needs.

    Args:
        mode: quick or full; for the report.
        told: receives each result as it comes.
    """
    began, started = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    subject = ask.asked(subject, checks)
    results: list[Result] = []
    for generation in _generations(checks):
        quiet = [check for check in generation if check.quick]
        known = graph.verdicts(results)
        with ThreadPoolExecutor(max_workers=max(1, len(quiet)), thread_name_prefix="check") as executor:
            found = list(executor.map(lambda check: _run(subject, check, known), quiet))  # noqa: B023 - used at once
        found += [_run(subject, check, known) for check in generation if not check.quick]
        for result in found:
            told(result)
        results += found
    return Report(
        run=uuid.uuid4().hex[:12],
        lab=subject.lab.team,
        topology=subject.lab.topology,
        mode=mode,
        started=started,
        seconds=round(time.monotonic() - began, 1),
        results=tuple(sorted(results, key=lambda result: (result.id, result.part))),
        frontier=graph.frontier(checks, results),
    )


def _generations(checks: Sequence[Check]) -> list[list[Check]]:
    """Return checks in layers: each needs only checks of earlier layers."""
    depth: dict[str, int] = {}
    layers: dict[int, list[Check]] = {}
    for check in graph.order(checks):
        depth[check.id] = 1 + max((depth[need] for need in check.needs if need in depth), default=0)
        layers.setdefault(depth[check.id], []).append(check)
    return [layers[number] for number in sorted(layers)]


def _run(subject: Subject, check: Check, known: dict[str, Verdict]) -> Result:
    limit = check.limit[1] if subject.virt == "qemu" else check.limit[0]
    began = time.monotonic()
    steps = list(_steps(subject, check, known))
    return Result(
        id=check.id,
        verdict=worst(step.verdict for step in steps),
        steps=tuple(steps),
        seconds=round(max(time.monotonic() - began, *(step.seconds for step in steps), 0.0), 2),
        limit=limit,
    )


def _steps(subject: Subject, check: Check, known: dict[str, Verdict]) -> list[Step]:
    if subject.cancelled.is_set():
        return [Step(name="begin", verdict=Verdict.BLOCKED, evidence="interrupted")]
    # A check that asks nodes is blocked where they cannot be asked, and there alone.
    if check.asks is None and (need := graph.blocked_by(check, known)):
        return [Step(name="begin", verdict=Verdict.BLOCKED, evidence=f"{need} is red")]
    steps: list[Step] = []
    if check.asks is not None and check.needs:
        steps += [
            Step(
                name="ask",
                node=node.name,
                verdict=Verdict.BLOCKED,
                evidence="nobody can log in" if node.name in subject.logins else "the node did not answer in time",
            )
            for node in subject.lab.nodes
            if (node.name, check.id) not in subject.answers
        ]
    try:
        steps += check.steps(subject)
    except (LabctlError, ValueError, LookupError) as exc:
        steps.append(Step(name="judge", verdict=Verdict.ERROR, evidence=f"{type(exc).__name__}: {exc}"))
    return steps or [Step(name="begin", verdict=Verdict.SKIPPED, evidence="the lab has nothing of the kind")]
