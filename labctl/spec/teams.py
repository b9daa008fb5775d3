"""Team names and ranges of them: team01..team10, team0{1,2}, a,b."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from labctl.errors import InputError
from labctl.spec.values import label, shown

LONGEST = 20
"""Characters of a team name: with a node's 40 and a hyphen it stays a host name's part of at most 63."""

MOST = 100
"""Teams in one command."""

RESERVED = frozenset({"break", "heal", "hint", "lint", "list", "reveal", "status", "verify"})
"""Words that mean something else where a team may be named: labctl sabotage heal."""

_REMEDY = "Write for instance team01, team01..team10, team0{1,2} or team01,team05."
_RANGE = re.compile(r"(?P<stem>.*?)(?P<first>[0-9]+)\.\.(?P<again>.*?)(?P<last>[0-9]+)")
_BRACES = re.compile(r"(?P<before>[^{}]*)\{(?P<inside>[^{}]*)\}(?P<after>[^{}]*)")


def expand(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the team names that the words of a command line mean, in their order.

    Raises:
        InputError: a name is not valid or comes twice, a range is empty or absurd, or braces do not match.
    """
    teams: list[str] = []
    for pattern in patterns:
        for word in _split(pattern):
            for team in _words(word, pattern):
                if team in teams:
                    raise InputError(f'"{team}" is named twice', remedy="Name each team once.")
                if len(teams) >= MOST:
                    raise InputError(f"more than {MOST} teams are named", remedy="Use several commands.")
                teams.append(team)
    return tuple(teams)


def validate(team: str) -> str:
    """Return the name of one team.

    Raises:
        InputError: it is not a valid name.
    """
    if team in RESERVED:
        raise InputError(f'"{team}" is a word of labctl sabotage, not a team name', remedy="Choose another name.")
    try:
        return label(team, longest=LONGEST, what="team name")
    except ValueError as exc:
        raise InputError(str(exc), remedy=_REMEDY) from exc


def _words(word: str, pattern: str) -> Iterator[str]:
    """Expand braces or a range."""
    if "{" in word or "}" in word:
        found = _BRACES.fullmatch(word)
        if not found:
            raise InputError(f"the braces in {shown(pattern)} do not match", remedy=_REMEDY)
        for part in found["inside"].split(","):
            for middle in _span(part, word) if ".." in part else [part]:
                yield validate(found["before"] + middle + found["after"])
    elif ".." in word:
        yield from map(validate, _span(word, word))
    else:
        yield validate(word)


def _span(text: str, word: str) -> Iterator[str]:
    """Count from team01 to team10, from team01 to 10 or from 01 to 10, with as many digits as the first has."""
    found = _RANGE.fullmatch(text)
    if not found or found["again"] not in ("", found["stem"]):
        raise InputError(f"{shown(word)} is not a range of teams", remedy=_REMEDY)
    digits = len(found["first"])
    if max(digits, len(found["last"])) > LONGEST or int(found["last"]) - int(found["first"]) >= MOST:
        raise InputError(f"{shown(word)} means more than {MOST} teams", remedy=_REMEDY)
    if int(found["last"]) < int(found["first"]):
        raise InputError(f"{shown(word)} counts down", remedy="Write the lower number first.")
    for number in range(int(found["first"]), int(found["last"]) + 1):
        yield f"{found['stem']}{number:0{digits}d}"


def _split(pattern: str) -> Iterator[str]:
    """Split at the commas that are outside braces."""
    depth, word = 0, ""
    for character in pattern:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "," and depth <= 0:
            yield word
            word = ""
        else:
            word += character
    yield word
