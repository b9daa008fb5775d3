"""Faults and injections as tables and documents: what teams may see, and what is the organiser's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labctl.changes.undo import difference
from labctl.report.table import table
from labctl.sabotage import matrix
from labctl.sabotage.draw import Lot
from labctl.sabotage.fault import Fault
from labctl.sabotage.ledger import Entry


def faults(found: Sequence[Fault]) -> str:
    """Return the pool: titles without spoilers."""
    rows = [[fault.id, fault.level, ", ".join(fault.stages), _drawn(fault), fault.title] for fault in found]
    notes = "by ID: never drawn by chance. Not verified: never seen on a living lab, so it is not drawn either."
    return f"{table(['ID', 'LEVEL', 'LABS', 'DRAWN', 'TITLE'], rows)}\n\n{notes}"


def _drawn(fault: Fault) -> str:
    """Say whether a fault is drawn by chance."""
    seen = len(matrix.proven(fault))
    if not fault.pool:
        return "by ID" if seen else "by ID, not verified"
    if not seen:
        return "not verified"
    return "yes" if seen == len(fault.variants) else f"{seen} of {len(fault.variants)} variants"


def fault_document(fault: Fault) -> dict[str, Any]:
    """Return a fault as a document without spoilers."""
    return {
        "id": fault.id,
        "title": fault.title,
        "level": fault.level,
        "stages": list(fault.stages),
        "pool": fault.pool,
        "variants": len(fault.variants),
        "verified": len(matrix.proven(fault)),
    }


def status(team: str, entries: Sequence[Entry]) -> str:
    """Return what was done to a lab, without spoilers."""
    if not entries:
        return f"{team}: no fault was ever injected."
    rows = [
        [entry.drawn_at, entry.state, entry.level, entry.title, f"{entry.taken} of {len(entry.hints)}"]
        for entry in entries
    ]
    return f"{team}:\n\n" + table(["SINCE", "STATE", "LEVEL", "WHAT TEAMS MAY KNOW", "HINTS"], rows)


def status_document(team: str, entries: Sequence[Entry]) -> dict[str, Any]:
    """Return what was done to a lab as a document without spoilers."""
    return {
        "team": team,
        "faults": [
            {
                "uid": entry.uid,
                "title": entry.title,
                "level": entry.level,
                "state": str(entry.state),
                "since": entry.drawn_at,
                "hints_taken": entry.taken,
                "hints": len(entry.hints),
            }
            for entry in entries
        ],
    }


def revealed(entry: Entry) -> str:
    """Return everything about an injection: for the organiser."""
    lines = [
        f"{entry.fault}: {entry.title} (level {entry.level}, {entry.state}, seed {entry.seed})",
        "",
        f"  Where:    {entry.node}: {entry.service}",
        f"  What:     {entry.explanation}",
        f"  Symptoms: {'; '.join(f'{check}: {line}' for check, line in entry.symptoms.items()) or 'not seen'}",
    ]
    for node, record in entry.records:
        lines += [f"  Changed:  on {node}: {line}" for line in difference(record).splitlines()]
    lines += [f"  Hint {number}:   {hint}" for number, hint in enumerate(entry.hints, start=1)]
    lines += [f"  Repair:   on {node}: {line}" for node, line in entry.repair]
    lines += [f"  Note:     {note}" for note in entry.notes]
    return "\n".join(lines)


def reveal_document(entry: Entry) -> dict[str, Any]:
    """Return everything about an injection but the undo records as a document."""
    document = entry.document()
    document.pop("records")
    return document


def lots(drawn: Sequence[Lot]) -> str:
    """Return what teams would get: for the organiser, on paper."""
    rows = [
        [lot.team, lot.order[0].id, lot.order[0].level, matrix.weight(lot.order[0]), lot.order[0].title, lot.seed]
        for lot in drawn
    ]
    lines = [table(["TEAM", "FAULT", "LEVEL", "WEIGHT", "TITLE", "SEED"], rows)]
    if pool := drawn[0].candidates:
        distinct, labs = len({lot.order[0].id for lot in drawn}), len({lot.team for lot in drawn})
        lines += ["", f"Labs: {labs}. Different faults: {distinct}. Drawn from: {', '.join(pool)}."]
    return "\n".join(lines)


def lot_document(lot: Lot) -> dict[str, Any]:
    """Return a lot as a document."""
    first = lot.order[0]
    return {
        "team": lot.team,
        "fault": first.id,
        "level": first.level,
        "weight": matrix.weight(first),
        "seed": lot.seed,
        "order": [fault.id for fault in lot.order],
        "candidates": list(lot.candidates),
    }
