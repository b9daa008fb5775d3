"""Results of checks as a table, a document, JUnit's XML, and a check in words. JSON names: docs/reference/json.md."""

from __future__ import annotations

from typing import Any

from labctl import quoting
from labctl.checks.check import CHECKS, Check
from labctl.checks.model import Report, Result, Verdict
from labctl.report.table import table


def document(report: Report) -> dict[str, Any]:
    """Return a report as a document."""
    return {
        "run": report.run,
        "lab": report.lab,
        "topology": report.topology,
        "mode": report.mode,
        "started": report.started,
        "seconds": report.seconds,
        "checks": [_result(result) for result in report.results],
        "frontier": list(report.frontier),
        "leftovers": list(report.leftovers),
        "exit": 0 if report.green else 4,
    }


def text(report: Report) -> str:
    """Return a report as people read it: every check in a line, then who is to blame."""
    rows = [
        [result.name, result.verdict, f"{result.seconds:.1f} s", CHECKS[result.name].title, _why(result)]
        for result in report.results
    ]
    counts = {verdict: sum(result.verdict is verdict for result in report.results) for verdict in Verdict}
    said = ", ".join(f"{count} {verdict.lower()}" for verdict, count in counts.items() if count)
    lines = [
        f"{report.lab}: topology {report.topology}, {said} ({report.seconds:.0f} s)",
        "",
        table(["CHECK", "RESULT", "TOOK", "WHAT", "WHY"], rows),
    ]
    suspects = [
        f"  {result.name}  {suspect}: {suspect.evidence}"
        for result in report.results
        if result.name in report.frontier
        for suspect in result.suspects
    ]
    if suspects:
        lines += ["", "Look here first:", *suspects]
    if report.leftovers:
        lines += ["", f"Could not be removed: {', '.join(report.leftovers)}"]
    return "\n".join(lines)


def junit(reports: list[Report]) -> str:
    """Return reports as JUnit's XML: a suite a lab, a case a check."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for report in reports:
        failures = sum(result.verdict is Verdict.FAIL for result in report.results)
        errors = sum(result.verdict in (Verdict.ERROR, Verdict.BLOCKED) for result in report.results)
        skipped = sum(result.verdict is Verdict.SKIPPED for result in report.results)
        lines.append(
            f'  <testsuite name="{quoting.xml(report.lab)}" tests="{len(report.results)}" failures="{failures}" '
            f'errors="{errors}" skipped="{skipped}" time="{report.seconds}" timestamp="{quoting.xml(report.started)}">'
        )
        for result in report.results:
            lines += _case(report, result)
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>", ""])


def explained(check: Check) -> str:
    """Say in words what a check does."""
    kvm, emulated = check.limit
    lines = [
        f"{check.id}: {check.title}",
        "",
        check.about,
        "",
        f"Uses: {check.exercises}.",
        f"Needs: {', '.join(check.needs) or 'nothing'}.",
        f"Labs at stage {' or '.join(check.stages)}.",
        "It changes nothing." if check.quick else "It makes things and removes them.",
        *(["It only runs if you name it."] if check.named else []),
        f"May take {kvm:.0f} s, {emulated:.0f} s on emulated nodes.",
    ]
    return "\n".join(lines)


def _result(result: Result) -> dict[str, Any]:
    first = result.first
    return {
        "id": result.id,
        "part": result.part or None,
        "result": str(result.verdict),
        "step": first.name if first else None,
        "host": (first.node or None) if first else None,
        "http": first.http if first else None,
        "request_id": first.request_id if first else None,
        "url": first.url if first else None,
        "seconds": result.seconds,
        "limit": result.limit,
        "slow": result.slow,
        "evidence": first.evidence if first else None,
        "suspects": [str(suspect) for suspect in result.suspects],
        "steps": [
            {
                "name": step.name,
                "host": step.node or None,
                "result": str(step.verdict),
                "seconds": step.seconds,
                "evidence": step.evidence or None,
            }
            for step in result.steps
        ],
    }


def _case(report: Report, result: Result) -> list[str]:
    name = quoting.xml(f"{result.name} {CHECKS[result.name].title}")
    head = f'    <testcase classname="{quoting.xml(report.lab)}" name="{name}" time="{result.seconds}"'
    if result.verdict is Verdict.PASS:
        return [f"{head}/>"]
    word = {Verdict.FAIL: "failure", Verdict.SKIPPED: "skipped"}.get(result.verdict, "error")
    return [f"{head}>", f'      <{word} message="{quoting.xml(_why(result))}"/>', "    </testcase>"]


def _why(result: Result) -> str:
    if result.slow:
        return f"slow: the limit is {result.limit:.0f} s"
    first = result.first
    if first is None:
        return ""
    place = f"{first.node}: " if first.node else ""
    return f"{place}{first.name}: {first.evidence}"
