"""What is found about this machine and its private hosts, as tables and documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labctl.host.doctor import Finding
from labctl.host.private import HostStatus
from labctl.report.table import table

_MARKS = {"ok": "✔", "warning": "!", "error": "✘"}


def finding_document(finding: Finding) -> dict[str, Any]:
    """Return a finding as a document."""
    return {
        "id": finding.id,
        "title": finding.title,
        "level": str(finding.level),
        "what": finding.what,
        "remedy": finding.remedy or None,
    }


def findings(found: Sequence[Finding]) -> str:
    """Return findings as people read them: one line each, the remedy below."""
    lines = []
    for finding in found:
        lines.append(f"{_MARKS[finding.level]} {finding.title}: {finding.what}")
        if finding.remedy:
            first, *more = finding.remedy.splitlines()
            lines += [f"    → {first}", *(f"      {line}" for line in more)]
    errors = sum(finding.level == "error" for finding in found)
    verdict = (
        f"Labs cannot run here yet: {errors} problem{'s' if errors > 1 else ''}." if errors else "Labs can run here."
    )
    lines += ["", verdict]
    return "\n".join(lines)


def host_document(host: HostStatus) -> dict[str, Any]:
    """Return a private host as a document."""
    return {
        "name": host.name,
        "state": str(host.state),
        "uri": host.uri,
        "pid": host.process.pid if host.process else None,
        "folder": str(host.folder),
        "guests": list(host.guests),
    }


def hosts(found: Sequence[HostStatus]) -> str:
    """Return private hosts as people read them."""
    if not found:
        return "There is no private host. labctl host up starts one; labctl create does it where it is needed."
    rows = [[host.name, host.state, len(host.guests), host.uri, host.folder] for host in found]
    return table(["HOST", "STATE", "GUESTS", "URI", "FOLDER"], rows)
