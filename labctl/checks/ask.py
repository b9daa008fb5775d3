"""Asks nodes: all questions to a node by one connection and one shell, for programs are slow in emulated nodes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

from labctl.checks.check import Answer, Check, Subject
from labctl.errors import DeadlineError, RemoteError
from labctl.plan.model import NodePlan

_MARK = "==> "  # no program of ours begins a line like this
_SECONDS = (60.0, 300.0)


def asked(subject: Subject, checks: Sequence[Check]) -> Subject:
    """Return the subject with what its nodes said to the checks' questions; all nodes are asked at once."""
    if not any(check.asks for check in checks):
        return subject
    nodes = subject.lab.nodes
    with ThreadPoolExecutor(max_workers=len(nodes), thread_name_prefix="ask") as executor:
        found = list(executor.map(lambda node: _node(subject, node, checks), nodes))
    logins = {node.name: why for node, (why, _) in zip(nodes, found, strict=True) if why}
    answers = {
        (node.name, check): answer
        for node, (_, said) in zip(nodes, found, strict=True)
        for check, answer in said.items()
    }
    return replace(subject, logins=logins, answers=answers)


def script(subject: Subject, node: NodePlan, checks: Sequence[Check]) -> str:
    """Return what a node's shell is given: each check's question behind a mark with the node's uptime."""
    lines = ["export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
    for check in checks:
        if check.asks is not None:
            lines += [f"read up rest </proc/uptime; printf '{_MARK}{check.id} %s\\n' $up"]
            lines += ["(", check.asks(subject, node), ") 2>&1 </dev/null"]
    lines += [f"read up rest </proc/uptime; printf '\\n{_MARK}end %s\\n' $up"]
    return "\n".join(lines) + "\n"


def answers(lines: Sequence[tuple[float, str]]) -> Mapping[str, Answer]:
    """Read the lines that a node printed, each with the moment it came."""
    heads = [number for number, (_, line) in enumerate(lines) if line.startswith(_MARK)]
    # Lines of a busy node come seconds late; the mark that came fastest tells when the others were printed.
    started = min((lines[head][0] - float(lines[head][1].split()[-1]) for head in heads), default=0.0)
    found = {}
    for head, after in pairwise(heads):
        check, begun = lines[head][1].removeprefix(_MARK).split()
        ended = lines[after][1].removeprefix(_MARK).split()[1]
        body = lines[head + 1 : after]
        found[check] = Answer(
            text="\n".join(line for _, line in body).strip(),
            seconds=round(float(ended) - float(begun), 2),
            at=started + float(begun),
        )
    return found


def _node(subject: Subject, node: NodePlan, checks: Sequence[Check]) -> tuple[str, Mapping[str, Answer]]:
    """Log in to a node and ask it; return why nobody can, and what it said."""
    try:
        try:
            guest = subject.guest(node.name)
        except DeadlineError:  # once more: a node whose host is busy is slow, not dead
            guest = subject.guest(node.name)
    except (RemoteError, DeadlineError) as exc:
        return exc.brief, {}
    came: list[tuple[float, str]] = []
    try:
        guest.run(
            "exec sh -s",
            stdin=script(subject, node, checks).encode(),
            timeout=subject.scaled(*_SECONDS),
            on_output=lambda line: came.append((time.time(), line)),
        )
    except (RemoteError, DeadlineError) as exc:
        # What it said before is worth its while: a question that hangs takes those behind it along, no other.
        return ("" if came else exc.brief), answers(came)
    return "", answers(came)
