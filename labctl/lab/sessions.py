"""Records who came in by the classroom's door, when, from where and where to; never what they typed or read.

One JSON line each in `door/sessions.jsonl` of the state folder, the oldest first.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from labctl.errors import DamagedError
from labctl.state import Home, parsed
from labctl.state.files import append

_NAME = "sessions.jsonl"


@dataclass(frozen=True, kw_only=True)
class SessionEvent:
    """One thing that happened at the door.

    Attributes:
        at: seconds since 1970.
        event: a login, a login that failed, something that was opened or has ended, a request that was refused.
        connection: random name of the connection that all its events share.
        team: what the login named; of a failed one, whatever was typed.
        address: where the connection comes from.
        what: how somebody logged in (password, the key's fingerprint, or "browser, link"); what was opened (shell,
            command, sftp, port, "browser terminal") or refused (agent forwarding, ...).
        where: the node, or the name and port that were asked for.
        seconds: for which what has ended was open.
    """

    at: float
    event: Literal["login", "failed", "open", "end", "refused"]
    connection: str
    team: str
    address: str
    what: str = ""
    where: str = ""
    seconds: float | None = None


def record(home: Home, events: Sequence[SessionEvent]) -> None:
    """Add events to the file.

    Raises:
        CapacityError: the file system is full.
    """
    append(home.root / "door" / _NAME, "".join(json.dumps(asdict(event)) + "\n" for event in events))


def read(home: Home, teams: Collection[str] = ()) -> list[SessionEvent]:
    """Return what happened, the oldest first; of these teams alone where some are named.

    Raises:
        DamagedError: a line is none that labctl wrote.
    """
    path = home.root / "door" / _NAME
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    found = []
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        try:
            found.append(parsed(line, SessionEvent))
        except ValueError as exc:
            raise DamagedError(
                f"{path} is damaged", details=f"line {number}: {exc}", remedy="Repair the line, or move the file away."
            ) from exc
    return [event for event in found if not teams or event.team in teams]
