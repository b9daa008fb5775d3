"""Runs one command on the labs of several teams, side by side, each host connected to once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from labctl.errors import DamagedError, LabctlError
from labctl.site import site
from labctl.site.progress import Progress
from labctl.site.site import Site
from labctl.site.together import raise_all, together
from labctl.site.work import Work
from labctl.state import Home, records

T = TypeVar("T")
_Place = tuple[str | None, str | None]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One command's work on labs of any hosts.

    Attributes:
        home: the state folder.
        progress: who is told what happens.
        cancelled: ends all waiting when set.
        jobs: how many calls of libvirt run at a time; None takes each host's own number.
        host: where labs are whose damaged records name none.
    """

    home: Home
    progress: Progress
    cancelled: threading.Event
    jobs: int | None = None
    host: str | None = None

    def work(self, site: Site, labs: int) -> Work:
        """Return the work on one of several labs, which share the calls of libvirt."""
        jobs = max(1, (self.jobs or site.settings.jobs) // labs)
        return Work(home=self.home, site=site, jobs=jobs, progress=self.progress, cancelled=self.cancelled)


class Results(Generic[T]):
    """The result or the error of each team's part, in the order in which the teams were named."""

    def __init__(self, teams: Sequence[str], done: Mapping[str, T], failed: Mapping[str, LabctlError]) -> None:
        self.done = {team: done[team] for team in teams if team in done}
        self.failed = {team: failed[team] for team in teams if team in failed}

    def check(self) -> None:
        """Raise what failed: the error of one team as it is, those of several together."""
        raise_all(self.failed.values(), brief=f"{len(self.failed)} labs have trouble")


def each(batch: Batch, teams: Sequence[str], part: Callable[[Work, str], T]) -> Results[T]:
    """Do a piece of work for each team's lab. A failure in one lab does not stop the others.

    Args:
        part: is given the work on the lab's host, with nothing listed yet, and the team.
    """
    done: dict[str, T] = {}
    failed: dict[str, LabctlError] = {}
    places: dict[_Place, list[str]] = {}
    for team in teams:
        try:
            places.setdefault(_place(batch.home, team, batch.host), []).append(team)
        except LabctlError as exc:
            failed[team] = exc

    def one(place: Site, team: str) -> None:
        try:
            done[team] = part(batch.work(place.again(), len(teams)), team)
        except LabctlError as exc:
            failed[team] = exc

    def there(at: _Place, named: list[str]) -> None:
        name, virt = at
        try:
            with site.opened(batch.home, name, recorded=virt) as place:
                pieces = [partial(one, place, team) for team in named]
                together(pieces, jobs=len(pieces), cancelled=batch.cancelled, brief="", remedy="")
        except LabctlError as exc:
            failed.update({team: exc for team in named if team not in done and team not in failed})

    together(
        [partial(there, at, named) for at, named in places.items()],
        jobs=len(places),
        cancelled=batch.cancelled,
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
