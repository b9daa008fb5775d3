"""Notices of the organiser to teams. One JSON line for each in `door/notices.jsonl`; another line takes it back."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from labctl.errors import DamagedError, InputError
from labctl.spec import teams as names
from labctl.state import MOMENT, Home, parsed
from labctl.state.files import append

FILE = "notices.jsonl"
LONGEST = 500
"""Characters of a notice."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something that teams are told.

    Attributes:
        at: seconds since 1970.
        id: a random name.
        teams: whom it is for; empty for all.
        text: what it says; empty where the notice of this name is taken back.
    """

    at: float
    id: str
    teams: tuple[str, ...]
    text: str


def give(home: Home, teams: Iterable[str], text: str) -> Notice:
    """Tell teams something, or all of them where none is named.

    Raises:
        InputError: it says nothing, or too much; or there can be no such team.
        CapacityError: the file system is full.
    """
    said = " ".join(text.split())
    if not said:
        raise InputError("the notice says nothing", remedy="Write a sentence.")
    if len(said) > LONGEST:
        raise InputError(f"the notice has {len(said)} characters", remedy=f"Write {LONGEST} at most.")
    whom = tuple(names.validate(team) for team in teams)
    made = Notice(at=time.time(), id=secrets.token_hex(4), teams=whom, text=said)
    with home.lock("door", "notices", wait=MOMENT):
        _append(home, [made])
    return made


def take_back(home: Home, ids: Sequence[str]) -> list[Notice]:
    """Take notices back, all that stand where none is named; return them.

    Raises:
        InputError: one of them does not stand.
    """
    with home.lock("door", "notices", wait=MOMENT):
        known = {notice.id: notice for notice in standing(home)}
        if unknown := [each for each in ids if each not in known]:
            raise InputError(f"there is no notice {', '.join(unknown)}", remedy="labctl notice lists them.")
        gone = [known[each] for each in ids or known]
        _append(home, [Notice(at=time.time(), id=each.id, teams=(), text="") for each in gone])
    return gone


def standing(home: Home) -> list[Notice]:
    """Return the notices that were not taken back, the newest first.

    Raises:
        DamagedError: a line is none that labctl wrote.
    """
    path = home.root / "door" / FILE
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    found: dict[str, Notice] = {}
    try:
        for line in text[: text.rfind("\n") + 1].splitlines():
            notice = parsed(line, Notice)
            if notice.text:
                found[notice.id] = notice
            else:
                found.pop(notice.id, None)
    except ValueError as exc:
        raise DamagedError(f"{path} is damaged", details=str(exc), remedy="Move the file away.") from exc
    return list(reversed(found.values()))


def for_team(some: Iterable[Notice], team: str) -> list[Notice]:
    """Return those of some notices that are for a team."""
    return [notice for notice in some if not notice.teams or team in notice.teams]


def _append(home: Home, some: Sequence[Notice]) -> None:
    append(home.root / "door" / FILE, "".join(json.dumps(asdict(each)) + "\n" for each in some))
