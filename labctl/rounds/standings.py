"""Ranks the teams of a round, and pairs them for a swap."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labctl.errors import InputError
from labctl.rounds.points import Score

TIES = "points, then the earliest last improvement, then fewer hints, then fewer resets, then the name"
"""What decides between two teams, for people."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A team's place, counted from 1."""

    place: int
    score: Score


def ranked(scores: Iterable[Score]) -> list[Standing]:
    """Rank scores; what decides is in `TIES`. Teams that even time cannot tell apart share a place."""
    ordered = sorted(scores, key=lambda score: (*_merit(score), score.player))
    standings: list[Standing] = []
    for number, score in enumerate(ordered, 1):
        same = standings and _merit(standings[-1].score) == _merit(score)
        standings.append(Standing(place=standings[-1].place if same else number, score=score))
    return standings


def swapped(teams: Sequence[str], seed: int) -> dict[str, str]:
    """Pair teams so that each works on another one's lab; the same seed gives the same pairs.

    Returns:
        The player to the team whose lab it works on.

    Raises:
        InputError: there are fewer than two teams.
    """
    names = sorted(set(teams))
    if len(names) < 2:
        raise InputError("a swap needs two teams at least", remedy="labctl round open team01 team02 --swap")
    drawn = names[:]
    random.Random(seed).shuffle(drawn)  # noqa: S311 - reproducible on purpose
    # A ring has no team that meets itself.
    return {player: drawn[(place + 1) % len(drawn)] for place, player in enumerate(drawn)}


def _merit(score: Score) -> tuple[int, float, int, int]:
    return (-score.total, score.improved, score.hints, score.resets)
