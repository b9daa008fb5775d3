"""Gathers what organisers hand out: what a team may know of its lab and round, and what was done to each lab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from labctl.installing import passwords
from labctl.lab import access, install, rounds
from labctl.lab.access import Access
from labctl.lab.rounds import Seat
from labctl.lab.sabotage import Ledger
from labctl.plan.lab import INSTALLED
from labctl.plan.model import LabPlan
from labctl.remote import keys
from labctl.rounds.events import Injected
from labctl.sabotage.ledger import Entry
from labctl.spec.scoring import Rules
from labctl.spec.topology import Topology, restore
from labctl.state import Home, records


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What a team may know.

    Attributes:
        team: who gets it.
        plan: the lab that it works on.
        seat: its place in a round that goes on; None where none does.
        rules: of that round, else those to come.
        access: how it comes in by the classroom's door; None where it does not.
        fingerprint: of the door's key; empty where the team does not come in by it.
        dashboard: the address of the dashboard, inside the lab; empty where there is none.
        password: of the cloud's user demo; empty where there is none yet.
    """

    team: str
    spec: Topology
    plan: LabPlan
    seat: Seat | None
    rules: Rules
    access: Access | None
    fingerprint: str
    dashboard: str
    password: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was done to one lab, for the organiser alone.

    Attributes:
        lab: whose it is.
        seat: who plays on it in a round that goes on; None where nobody does.
        faults: each entry of the ledger, with what counts as its diagnosis where it belongs to the round.
    """

    lab: str
    seat: Seat | None
    faults: tuple[tuple[Entry, Injected | None], ...]


def sheet(home: Home, team: str, *, rules: Rules, door: bool) -> Sheet:
    """Return what a team may know: of the lab that it plays on in a round that goes on, else of its own.

    Args:
        rules: where no round goes on.
        door: whether there is a door, by which the team must have access.

    Raises:
        InputError: the team has no lab and plays on none, or has no access by the door.
    """
    seat = rounds.seat_of(home, team)
    lab = seat.lab if seat else team
    record = records.record_of(home, lab)
    plan = records.plan_of(record)
    return Sheet(
        team=team,
        spec=restore(record.topology),
        plan=plan,
        seat=seat,
        rules=seat.rules if seat else rules,
        access=access.known(home, team) if door else None,
        fingerprint=keys.fingerprint(access.door_key(home).public) if door else "",
        dashboard=_dashboard(home, plan),
        password=passwords.load(home.lab(lab)).get("demo", "") if plan.stage == INSTALLED else "",
    )


def answers(home: Home, teams: Sequence[str]) -> list[Answer]:
    """Return what was really done to the labs that teams play on, and to the labs of those who do not play."""
    found = []
    for team in teams:
        seat = rounds.seat_of(home, team)
        lab = seat.lab if seat else team
        records.record_of(home, lab)
        book = Ledger(home.lab(lab))
        entries = {entry.uid: entry for entry in book.entries()}
        played = [(entries[fault.entry], fault) for fault in (seat.faults.values() if seat else ())]
        known = {entry.uid for entry, _ in played}
        others = [(entry, None) for entry in book.open() if entry.uid not in known]
        found.append(Answer(lab=lab, seat=seat, faults=(*played, *others)))
    return found


def _dashboard(home: Home, plan: LabPlan) -> str:
    if plan.stage != INSTALLED or plan.openstack is None or not any("horizon" in node.roles for node in plan.nodes):
        return ""
    return f"http://{install.cloud_on_record(home, plan.team).public('horizon')}/horizon/"
