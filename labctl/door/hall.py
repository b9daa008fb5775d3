"""What is behind both doors: the labs, the logins to their nodes, and the book of who came."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from labctl.door.labs import Calls, Labs
from labctl.door.logins import Logins
from labctl.door.recording import Recordings
from labctl.errors import LabctlError
from labctl.lab.sessions import SessionEvent
from labctl.lab.visit import Mark

_MINUTE = 60.0
_WATCH = 2.0  # seconds between looks whether labs have changed

logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of each write to a visitor who has just vanished


class Guest(Protocol):
    """Somebody of a team who has something open."""

    @property
    def team(self) -> str:
        """Whose lab it is."""
        ...

    def disconnect(self, why: str) -> None:
        """End everything, with a message."""
        ...

    def end_stale(self, now: Mapping[str, Mark]) -> None:
        """End what leads to nodes that have been made anew or removed."""
        ...


class Hall:
    """What the visitors of both doors share.

    Args:
        record: writes events down; called in a thread.
        failed: told what went wrong meanwhile, the same thing at most once a minute.
        recordings: folder for what terminals show; None keeps nothing of it.

    Attributes:
        guests: those for whom labs are watched.
    """

    def __init__(
        self,
        labs: Labs,
        *,
        record: Callable[[Sequence[SessionEvent]], None],
        failed: Callable[[LabctlError], None],
        recordings: Path | None = None,
    ) -> None:
        self.labs = Calls(labs)
        self.recordings = Recordings(recordings, failed=self.failed) if recordings is not None else None
        self.logins = Logins(self.labs)
        self.guests: set[Guest] = set()
        self._record, self._tell = record, failed
        self._told: dict[str, float] = {}
        self._events: asyncio.Queue[SessionEvent] = asyncio.Queue()

    def note(self, event: SessionEvent) -> None:
        """Have an event written down."""
        self._events.put_nowait(event)

    def failed(self, error: LabctlError) -> None:
        """Tell what went wrong; nobody is waiting for it."""
        now = time.monotonic()
        if now - self._told.get(error.brief, -_MINUTE) >= _MINUTE:
            self._told[error.brief] = now
            self._tell(error)

    async def write(self) -> None:
        """Write events down as they come, those that came meanwhile together."""
        while True:
            await self._written([await self._events.get()])

    async def watch(self) -> None:
        """End what leads to nodes that were made anew, and whatever teams have open that are let in no more."""
        while True:
            await asyncio.sleep(_WATCH)
            for team in {guest.team for guest in self.guests}:
                try:
                    await self._look(team)
                except LabctlError as exc:
                    self.failed(exc)
            self.logins.sweep()
            await self.labs.sweep()

    async def close(self) -> None:
        """End the logins, write down what is not yet, and let go of the labs."""
        self.logins.close()
        await self._written([])
        self.labs.close()

    async def _look(self, team: str) -> None:
        marks, access = await self.labs.marks(team), await self.labs.access(team)
        for guest in [guest for guest in self.guests if guest.team == team]:
            if access is None:
                guest.disconnect("Your team has no access any more.")
            guest.end_stale(marks)
        self.logins.drop_stale(team, marks)

    async def _written(self, events: list[SessionEvent]) -> None:
        while not self._events.empty():
            events.append(self._events.get_nowait())
        try:
            if events:
                await asyncio.to_thread(self._record, events)
        except LabctlError as exc:
            self.failed(exc)


@contextlib.asynccontextmanager
async def opened(
    labs: Labs,
    *,
    record: Callable[[Sequence[SessionEvent]], None],
    failed: Callable[[LabctlError], None],
    recordings: Path | None = None,
) -> AsyncIterator[Hall]:
    """Keep the hall while a `with` statement lasts, in which its doors are opened; see `Hall`."""
    hall = Hall(labs, record=record, failed=failed, recordings=recordings)
    tasks = [asyncio.create_task(work) for work in (hall.write(), hall.watch())]
    try:
        yield hall
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await hall.close()
