"""How long ago a service reported: what says whether it lives, for its state column learns it much later."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from labctl.checks.log import Log
from labctl.checks.model import Step, judged

AGES = (30.0, 180.0)
"""Three reports, on KVM and emulated: older is suspicious, twice as old is dead. In between, it is waited for."""

_PATIENCE = 3.0
"""A starved lab's reports may be older: half as many times as the run has met it slower than usual, for a lab that is
twice as slow still reports within the ages above; this many times at most."""


@dataclass(frozen=True, kw_only=True)
class ServiceReport:
    """What a cloud says about one of its services.

    Attributes:
        at: when it reported.
        on: whether it is enabled.
    """

    binary: str
    node: str
    at: datetime
    on: bool


def moment(text: str) -> datetime:
    """Read a moment as the APIs write it: UTC, with or without saying so."""
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def judge(log: Log, wanted: Iterable[tuple[str, str]], ask: Callable[[], Iterable[ServiceReport]], name: str) -> None:
    """Compare who reported with who should, and note a step for each.

    Args:
        wanted: program and node.
        ask: asks the cloud; once more after a while where somebody's report is late.
        name: of the request, for its step.
    """
    expected = sorted(set(wanted))
    began = time.monotonic()
    while True:
        limit = log.subject.scaled(*AGES) * min(max(1.0, log.subject.limits.slowest / 2), _PATIENCE)
        known = {(each.binary, each.node): each for each in log.ask(name, lambda: list(ask()))}
        late = [key for key in expected if key in known and limit < _age(known[key]) <= 2 * limit]
        if not late or time.monotonic() - began > limit:
            break
        log.pause(5, 20)
    log.steps += [_judged(key, known, 2 * limit) for key in expected]


def _judged(key: tuple[str, str], known: Mapping[tuple[str, str], ServiceReport], limit: float) -> Step:
    binary, node = key
    found, trouble = known.get(key), ""
    if found is None:
        trouble = f"the cloud knows no {binary} on {node}"
    elif not found.on:
        trouble = f"{binary} is disabled"
    elif (age := _age(found)) > limit:
        trouble = f"{binary} reported last {age:.0f} s ago"
    return judged(trouble, name=binary, node=node, suspect=binary)


def _age(report: ServiceReport) -> float:
    return (datetime.now(UTC) - report.at).total_seconds()
