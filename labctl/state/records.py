"""Gives the lab that a team has: its record, and the plan that follows from it. No host is asked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from labctl.errors import InputError
from labctl.plan.lab import plan
from labctl.plan.model import Identity, LabPlan
from labctl.spec.topology import restore
from labctl.state import Home, LabRecord


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A lab as it is on record."""

    plan: LabPlan
    record: LabRecord


@contextlib.contextmanager
def locked(home: Home, teams: Iterable[str]) -> Iterator[None]:
    """Hold the locks of all these teams' labs, in one order for everybody.

    Raises:
        LockedError: another process works on one of them.
    """
    with contextlib.ExitStack() as stack:
        for team in sorted(set(teams)):
            stack.enter_context(home.lock("lab", team))
        yield


def lab_of(home: Home, team: str) -> Lab:
    """Return the lab that a team has.

    Raises:
        InputError: it has none.
    """
    record = record_of(home, team)
    return Lab(plan=plan_of(record), record=record)


def record_of(home: Home, team: str) -> LabRecord:
    """Return the record of a team's lab.

    Raises:
        InputError: the team has no lab.
    """
    record = home.lab(team).load()
    if record is None:
        known = ", ".join(record.team for record in home.records())
        raise InputError(
            f"{team} has no lab",
            details=f"Labs there are: {known}" if known else "There are no labs.",
            remedy=f"labctl create {team}",
        )
    return record


def plan_of(record: LabRecord) -> LabPlan:
    """Plan the lab of a record; the same record always gives the same plan."""
    identity = Identity(
        team=record.team,
        lab=record.lab,
        owner=record.owner,
        mgmt=record.mgmt,
        generations=record.generations,
        label=record.label,
    )
    return plan(restore(record.topology), identity, stage=record.stage, golden=record.golden, bare=record.bare)
