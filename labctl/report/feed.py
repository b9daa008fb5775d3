"""What happens in a classroom as documents and as a table: for the organiser, or for everybody."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from typing import Any

from labctl.lab.feed import Happened
from labctl.lab.hands import Hand
from labctl.report.table import table
from labctl.rounds.events import Checked, Event, Healed, Injected, Note, Opened, Reported, Restarted

_ORGANISERS = (Injected, Restarted, Healed, Note)
"""Events that nobody else may know of: that there is one tells a round with faults from a drill."""

_SEALED: dict[type[Event], tuple[str, ...]] = {
    Opened: ("faults",),
    Checked: ("verdicts",),
    Reported: ("service", "node", "symptom", "nothing"),
}
"""Fields of other events that nobody else may know."""


def document(happened: Happened, view: str) -> dict[str, Any] | None:
    """Return an event as a document; None where those eyes may not know of it.

    Args:
        view: organiser or public.
    """
    event = happened.event
    if view != "organiser" and isinstance(event, _ORGANISERS):
        return None
    sealed = () if view == "organiser" or isinstance(event, Hand) else _SEALED.get(type(event), ())
    facts = {key: value for key, value in vars(event).items() if key not in ("at", "team", "up", *sealed)}
    return {
        "id": happened.id,
        "kind": f"hand {'raised' if event.up else 'lowered'}" if isinstance(event, Hand) else event.kind,
        "at": event.at,
        "team": happened.team,
        "lab": happened.lab or None,
        "round": happened.round or None,
        "facts": facts,
    }


def text(documents: Sequence[dict[str, Any]]) -> str:
    """Return events as people read them, by this machine's clock; long facts are cut."""
    rows = [
        [
            datetime.datetime.fromtimestamp(each["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            each["team"],
            each["round"] or "-",
            each["kind"],
            _short(each["facts"]),
        ]
        for each in documents
    ]
    return table(["TIME", "TEAM", "ROUND", "WHAT", "FACTS"], rows)


def _short(facts: dict[str, Any]) -> str:
    said = ", ".join(f"{key} {json.dumps(value)}" for key, value in facts.items() if value not in ("", (), {}))
    return said if len(said) <= 100 else f"{said[:99]}…"
