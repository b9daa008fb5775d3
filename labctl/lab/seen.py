"""Tells what is known of a lab without asking its nodes: its plan, libvirt's states, and what its last checks said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from labctl.checks.model import Report, Result
from labctl.errors import LabctlError
from labctl.lab import status
from labctl.plan.model import LabPlan
from labctl.site import site
from labctl.state import MOMENT, Home, records

CHECKED = "checked.json"
"""What checks said last: when, and of each red check the nodes."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A lab as it was seen last.

    Attributes:
        states: node to libvirt's state, `absent` or `foreign`; empty where the host does not answer.
        trouble: why it does not; empty where it does.
        checked: when a check ran last, UTC; empty for never.
        red: check that was red when it ran last, to the nodes that it blames; none where it blames no node.
    """

    plan: LabPlan
    states: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""
    checked: str = ""
    red: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Checked:
    """What is kept; see `Seen` for both."""

    checked: str = ""
    red: dict[str, tuple[str, ...]] = field(default_factory=dict)


def seen(home: Home, team: str) -> Seen:
    """Look at a team's lab; a private host that is down is not started for it.

    Raises:
        InputError: the team has no lab.
        DamagedError: what was kept of its checks cannot be read.
    """
    lab = records.lab_of(home, team)
    kept = last(home, team)
    states: dict[str, str] = {}
    trouble = ""
    try:
        with site.opened(home, lab.record.host, recorded=lab.record.virt, start=False) as place:
            states = {node.name: status.state_of(place, lab.plan, node) for node in lab.plan.nodes}
    except LabctlError as exc:
        trouble = exc.brief
    return Seen(plan=lab.plan, states=states, trouble=trouble, checked=kept.checked, red=kept.red)


def last(home: Home, team: str) -> Checked:
    """Return what was kept of a lab's checks.

    Raises:
        DamagedError: it cannot be read.
    """
    return home.lab(team).read_as(CHECKED, Checked) or Checked()


def keep(home: Home, report: Report) -> None:
    """Keep what checks said; what others said that did not run this time stays."""
    with home.lock("events", report.lab, wait=MOMENT):
        run = {result.name for result in report.results}
        red = {name: nodes for name, nodes in last(home, report.lab).red.items() if name not in run}
        red |= {result.name: _nodes(result) for result in report.results if result.red}
        kept = Checked(checked=report.started, red=dict(sorted(red.items())))
        home.lab(report.lab).write(CHECKED, json.dumps(asdict(kept), indent=1))


def _nodes(result: Result) -> tuple[str, ...]:
    """Return the nodes that a red check is about: those that it blames, else where it failed."""
    blamed = [suspect.node for suspect in result.suspects] or [step.node for step in filter(None, [result.first])]
    return tuple(sorted({node for node in blamed if node}))
