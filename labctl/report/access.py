"""Who may come in by the door, and who came, as tables and documents."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from labctl.lab.access import Access
from labctl.lab.sessions import SessionEvent
from labctl.report.table import table


def access_document(access: Access, *, password: bool) -> dict[str, Any]:
    """Return a team's access as a document.

    Args:
        password: whether the password stands in it.
    """
    keys = [{"fingerprint": key, "comment": comment} for key, comment in access.fingerprints().items()]
    return {"team": access.team, **({"password": access.password} if password else {}), "keys": keys}


def access_table(found: Sequence[Access], *, passwords: bool) -> str:
    """Return the access of teams as people read it: a line for each, and one for each key."""
    rows = []
    for access in found:
        first, *more = [f"{key} {shown(comment)}".strip() for key, comment in access.fingerprints().items()] or ["-"]
        rows.append([access.team, *([access.password] if passwords else []), first])
        rows += [["", *([""] if passwords else []), key] for key in more]
    return table(["TEAM", *(["PASSWORD"] if passwords else []), "KEYS"], rows)


def event_document(event: SessionEvent) -> dict[str, Any]:
    """Return something that happened at the door as a document."""
    return vars(event) | {"what": event.what or None, "where": event.where or None}


def events_table(events: Sequence[SessionEvent]) -> str:
    """Return what happened at the door as people read it, by this machine's clock."""
    rows = [
        [
            datetime.datetime.fromtimestamp(event.at).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            event.connection,
            shown(event.team) or "-",
            event.address or "-",
            said(event),
        ]
        for event in events
    ]
    return table(["TIME", "CONNECTION", "TEAM", "FROM", "WHAT"], rows)


def said(event: SessionEvent) -> str:
    """Return what happened in a few words."""
    what, where = shown(event.what), shown(event.where)
    match event.event:
        case "login":
            return f"logged in by {what}"
        case "failed":
            return f"could not log in by {what}"
        case "refused":
            return f"refused: {what}{f' {where}' if where else ''}"
        case "end":
            return f"{what} {where} ended after {event.seconds:.0f} s"
    return f"{what} {where}"


def shown(text: str) -> str:
    """Return a text that a stranger sent as a terminal may show it."""
    return "".join(character if character.isprintable() else "?" for character in text)
