"""Runs one command on the labs of several teams, side by side, each host connected to once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Generic, TypeVar

from labctl.errors import DamagedError, LabctlError
from labctl.site import site
from labctl.site.site import Site
from labctl.site.together import raise_all, together
from labctl.state import Home, records

T = TypeVar("T")
_Place = tuple[str | None, str | None]


class Results(Generic[T]):
    """What became of each team's part, in the order in which the teams were named."""

    def __init__(self, teams: Sequence[str], done: Mapping[str, T], failed: Mapping[str, LabctlError]) -> None:
        self.done = {team: done[team] for team in teams if team in done}
        self.failed = {team: failed[team] for team in teams if team in failed}

    def check(self) -> None:
        """Raise what failed: the error of one team as it is, those of several together."""
        raise_all(self.failed.values(), brief=f"{len(self.failed)} labs have trouble")


def share(jobs: int, teams: Sequence[str]) -> int:
    """Return how many calls each of several labs makes at a time, when all make that many."""
    return max(1, jobs // len(teams))


def each(
    home: Home,
    teams: Sequence[str],
    work: Callable[[Site, str], T],
    *,
    cancelled: threading.Event,
    host: str | None = None,
) -> Results[T]:
    """Do a piece of work for each team's lab; one that fails does not keep the others from theirs.

    Args:
        work: is given the lab's host, with nothing listed yet, and the team.
        host: where labs are whose damaged records name none.
    """
    done: dict[str, T] = {}
    failed: dict[str, LabctlError] = {}
    places: dict[_Place, list[str]] = {}
    for team in teams:
        try:
            places.setdefault(_place(home, team, host), []).append(team)
        except LabctlError as exc:
            failed[team] = exc

    def one(place: Site, team: str) -> None:
        try:
            done[team] = work(place.again(), team)
        except LabctlError as exc:
            failed[team] = exc

    def there(at: _Place, named: list[str]) -> None:
        name, virt = at
        try:
            with site.opened(home, name, recorded=virt) as place:
                pieces = [partial(one, place, team) for team in named]
                together(pieces, jobs=len(pieces), cancelled=cancelled, brief="", remedy="")
        except LabctlError as exc:
            failed.update({team: exc for team in named if team not in done and team not in failed})

    together(
        [partial(there, at, named) for at, named in places.items()],
        jobs=len(places),
        cancelled=cancelled,
        brief="",
        remedy="",
    )
    return Results(teams, done, failed)


def _place(home: Home, team: str, host: str | None) -> _Place:
    """Return the host that a team's lab stands on, and what its nodes were made with."""
    try:
        record = records.record_of(home, team)
    except DamagedError:
        return home.lab(team).host() or host, None
    return record.host, record.virt
