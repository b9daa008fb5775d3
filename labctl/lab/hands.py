"""Raised hands: a team asks the organiser to come. One JSON line for each change in `door/hands.jsonl`."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass

from labctl.errors import DamagedError
from labctl.state import MOMENT, Home, parsed
from labctl.state.files import append

FILE = "hands.jsonl"
LONGEST = 300
"""Characters of what a team says."""


@dataclass(frozen=True, kw_only=True)
class Hand:
    """A hand that was raised or lowered.

    Attributes:
        at: seconds since 1970.
        team: whose.
        up: whether it is up from then on.
        text: what the team says.
    """

    at: float
    team: str
    up: bool
    text: str = ""


def put(home: Home, team: str, *, up: bool, text: str = "") -> None:
    """Raise a team's hand, or lower it; nothing happens where it is so already.

    Raises:
        CapacityError: the file system is full.
    """
    with home.lock("door", "hands", wait=MOMENT):
        if (team in raised(home)) == up:
            return
        hand = Hand(at=time.time(), team=team, up=up, text=" ".join(text.split())[:LONGEST])
        append(home.root / "door" / FILE, json.dumps(asdict(hand)) + "\n")


def raised(home: Home) -> dict[str, Hand]:
    """Return the hands that are up, by team; who waits longest comes first.

    Raises:
        DamagedError: a line is none that labctl wrote.
    """
    path = home.root / "door" / FILE
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    up: dict[str, Hand] = {}
    for hand in read(text, str(path)):
        if hand.up:
            up[hand.team] = hand
        else:
            up.pop(hand.team, None)
    return up


def read(text: str, source: str) -> list[Hand]:
    """Read a file of hands, the oldest first. A last line without an end was being written when labctl died.

    Raises:
        DamagedError: a line is none that labctl wrote.
    """
    try:
        return [parsed(line, Hand) for line in text[: text.rfind("\n") + 1].splitlines()]
    except ValueError as exc:
        raise DamagedError(f"{source} is damaged", details=str(exc), remedy="Move the file away.") from exc
