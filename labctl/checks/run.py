"""Runs checks: side by side where they change nothing, alone where they do."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

from labctl.checks import ask, graph, patterns
from labctl.checks.check import Check, Subject
from labctl.checks.model import Report, Result, Step, Verdict, worst

Told = Callable[[Result], None]


def run(subject: Subject, checks: Sequence[Check], *, mode: str, told: Told) -> Report:
    """Run checks in the order of their needs. What they make is removed at the end; what a run before left, first.

    Args:
        mode: quick or full; for the report.
        told: receives each result as it comes.
    """
    began, started = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    # A token that an API has seen passes a door that is closed to all others, so each run logs in anew.
    subject = replace(ask.asked(subject, checks), cloud=subject.cloud and subject.cloud.renewed())
    results: list[Result] = []
    changes = subject.cloud is not None and not all(check.quick for check in checks)
    if changes and subject.cloud is not None:
        subject.cloud.made.remove(subject.cloud)
    leftovers: list[str] = []
    try:
        for generation in _generations(checks):
            quiet = [check for check in generation if check.quick]
            known = graph.verdicts(results)
            with ThreadPoolExecutor(max_workers=max(1, len(quiet)), thread_name_prefix="check") as executor:
                for result in executor.map(lambda check: _run(subject, check, known), quiet):  # noqa: B023 - used at once
                    told(result)
                    results.append(result)
            for check in generation:
                if not check.quick:
                    result = _run(subject, check, known)
                    told(result)
                    results.append(result)
    finally:
        if changes and subject.cloud is not None:
            leftovers = subject.cloud.made.remove(subject.cloud)
    results = patterns.blamed(subject.lab, checks, results)
    return Report(
        run=subject.run or uuid.uuid4().hex[:12],
        lab=subject.lab.team,
        topology=subject.lab.topology,
        mode=mode,
        started=started,
        seconds=round(time.monotonic() - began, 1),
        results=tuple(sorted(results, key=lambda result: (result.id, result.part))),
        frontier=graph.frontier(checks, results),
        leftovers=tuple(leftovers),
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
    limit = subject.limits.of(check.id, check.limit)
    began = time.monotonic()
    steps = list(_steps(subject, check, known))
    name, _, part = check.id.partition(":")
    return Result(
        id=name,
        part=part,
        verdict=worst(step.verdict for step in steps),
        steps=tuple(steps),
        seconds=round(max(time.monotonic() - began, *(step.seconds for step in steps), 0.0), 2),
        limit=round(limit, 1),
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
    except Exception as exc:  # noqa: BLE001 - whatever breaks a check, the others go on
        steps.append(Step(name="judge", verdict=Verdict.ERROR, evidence=f"{type(exc).__name__}: {exc}"))
    return steps or [Step(name="begin", verdict=Verdict.SKIPPED, evidence="the lab has nothing of the kind")]
