"""Terminals that pages show: each is a shell on a node, or its serial console, and everybody who looks at it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Literal, Protocol

from labctl.door.console import SerialConsole
from labctl.door.hall import Hall
from labctl.door.picture import Picture
from labctl.door.recording import TOLD, Recording
from labctl.door.shell import Shell
from labctl.errors import InputError, RefusedError
from labctl.lab.sessions import SessionEvent
from labctl.lab.visit import Mark

_KEPT = 256 * 1024  # bytes of what was printed, for those who join
_SLOW = 5.0  # seconds that those who only look may keep the others waiting
_OF_A_TEAM = 40
_OVER = "It has ended."
_PATIENCE = 3.0  # seconds for which browsers are waited for when the door closes

Kind = Literal["terminal", "console"]
Event = Literal["login", "failed", "open", "end"]
Size = tuple[int, int]
"""Columns and rows."""


class Source(Protocol):
    """What a terminal is connected to."""

    @property
    def printed(self) -> bytes:
        """The last that was printed before it was opened."""
        ...

    async def read(self) -> bytes:
        """Return what was printed since; nothing at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Type."""
        ...

    def resize(self, columns: int, rows: int) -> None:
        """Say how large the terminal is."""
        ...

    def close(self) -> None:
        """Let go of it; safe more than once."""
        ...


class Screen(Protocol):
    """Somebody who looks at a terminal. Nothing happens where the browser is gone."""

    @property
    def organiser(self) -> bool:
        """Whether it is the organiser; else it is one of the team."""
        ...

    async def show(self, data: bytes) -> None:
        """Show what was printed; waits while the browser is slow."""
        ...

    async def replay(self, data: bytes) -> None:
        """Show what was printed before: programs that asked the terminal something then want no answer now."""
        ...

    async def say(self, text: str) -> None:
        """Tell about others who look at it."""
        ...

    async def size(self, columns: int, rows: int) -> None:
        """Tell how large the terminal is."""
        ...

    async def end(self, why: str) -> None:
        """Tell that it is over."""
        ...


class Terminal:
    """One terminal.

    Args:
        place: team, and the node's name in its lab.
        mark: which making of the node it leads to.
        size: how large it is; None where nobody can tell.
        ended: called once, at the end.

    Attributes:
        since: seconds since 1970 when it was opened.
        task: carries it; done when it is over.
    """

    def __init__(
        self,
        kind: Kind,
        place: tuple[str, str],
        mark: Mark,
        source: Source,
        *,
        size: Size | None,
        ended: Callable[[Terminal], None],
    ) -> None:
        self.kind = kind
        self.team, self.node = place
        self.id = secrets.token_hex(8)
        self.since = time.time()
        self._mark, self._source, self._ended = mark, source, ended
        self._screens: list[Screen] = []
        self._taken: Screen | None = None
        self._recording: Recording | None = None
        self._printed = bytearray(source.printed)
        self._total = len(self._printed)
        self._size = size
        self._over = asyncio.Event()
        self._why = ""
        self.task = asyncio.create_task(self._run())

    @property
    def over(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._over.is_set()

    @property
    def _typists(self) -> list[Screen]:
        """The team, or the organiser where nobody of the team looks at it."""
        return [screen for screen in self._screens if not screen.organiser] or self._screens

    def record(self, recording: Recording | None) -> None:
        """Keep what is printed from now on, and tell everybody who joins; nobody has joined yet."""
        self._recording = recording
        if recording is not None:
            self._printed += TOLD.encode()
            self._total = len(self._printed)

    async def join(self, screen: Screen) -> None:
        """Show it to somebody, what was printed before included."""
        if self._size is not None and self._screens:
            await screen.size(*self._size)
        seen = self._total - len(self._printed)
        while seen < self._total:
            missed = bytes(self._printed[seen - self._total :])
            seen = self._total
            await screen.replay(missed)
        self._screens.append(screen)
        if self.over:
            await screen.end(self._why or _OVER)
        elif screen.organiser:
            await self._tell("Your organiser looks at this terminal.")

    async def leave(self, screen: Screen) -> None:
        """Show it to somebody no more; it ends with the last."""
        if screen not in self._screens:
            return
        self._screens.remove(screen)
        if self._taken is screen:
            self._taken = None
        if screen.organiser:
            await self._tell("Your organiser has left this terminal.")
        if not self._screens:
            self.disconnect("")

    async def type(self, screen: Screen, data: bytes) -> None:
        """Type what somebody has typed: the team, or the organiser who has taken it over or is alone there."""
        if self._taken is screen or (self._taken is None and screen in self._typists):
            await self._source.write(data)

    async def resize(self, screen: Screen, columns: int, rows: int) -> None:
        """Make it as large as the first screen of those who type is; the others follow."""
        if not self._typists or self._typists[0] is not screen or self._size == (columns, rows):
            return
        self._size = (columns, rows)
        self._source.resize(columns, rows)
        if self._recording is not None:
            self._recording.resize(columns, rows)
        for each in self._screens:
            if each is not screen:
                await each.size(columns, rows)

    async def take(self, screen: Screen, taken: bool) -> None:
        """Let the organiser type, and the team only look; or give it back."""
        if screen.organiser and screen in self._screens and taken != (self._taken is not None):
            self._taken = screen if taken else None
            await self._tell("Your organiser types now." if taken else "You can type again.")

    def disconnect(self, why: str) -> None:
        """End it, with a message for all who look at it."""
        if not self._over.is_set():
            self._why = why
            self._over.set()

    def end_stale(self, now: Mapping[str, Mark]) -> None:
        """End it where its node has been made anew or removed."""
        if now.get(self.node) != self._mark:
            self.disconnect(f"{self.node} was reset or removed. Open it again when it is ready.")

    async def _run(self) -> None:
        """Carry what is printed to all screens until it is over."""
        pump = asyncio.create_task(self._pump())
        pump.add_done_callback(lambda _: self._over.set())
        await self._over.wait()
        pump.cancel()
        self._source.close()
        if self._recording is not None:
            self._recording.close()
        self._ended(self)
        for screen in self._screens:
            await screen.end(self._why or _OVER)

    async def _pump(self) -> None:
        while data := await self._source.read():
            self._printed += data
            self._total += len(data)
            del self._printed[:-_KEPT]
            if self._recording is not None:
                self._recording.show(data)
            for number, screen in enumerate(list(self._screens)):
                await self._show(screen, data, seconds=_SLOW if number else None)

    async def _show(self, screen: Screen, data: bytes, *, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await screen.show(data)
        except TimeoutError:
            await self.leave(screen)
            await screen.end("This browser was too slow. Load the page again.")

    async def _tell(self, text: str) -> None:
        """Tell the team."""
        for screen in self._screens:
            if not screen.organiser:
                await screen.say(text)


class Terminals:
    """All terminals that are open."""

    def __init__(self, hall: Hall, *, changed: Callable[[], None]) -> None:
        self._hall, self._changed = hall, changed
        self._open: dict[str, Terminal] = {}
        self._consoles: dict[tuple[str, str], asyncio.Lock] = {}

    def of(self, team: str) -> list[Terminal]:
        """Return a team's, the oldest first."""
        return [each for each in self._open.values() if each.team == team]

    def find(self, team: str, name: str) -> Terminal | None:
        """Return a team's terminal of that ID."""
        found = self._open.get(name)
        return found if found is not None and found.team == team else None

    async def shell(self, team: str, node: str, address: str, *, columns: int, rows: int) -> Terminal:
        """Open a shell on a node of the lab that a team works on.

        Raises:
            LabctlError: there is no such node, it cannot be reached, or the team has too many open.
        """

        async def opened() -> Source:
            return await Shell.opened(self._hall.logins, team, node, columns=columns, rows=rows)

        return await self._new("terminal", (team, node), address, opened, size=(columns, rows))

    async def console(self, team: str, node: str, address: str) -> Terminal:
        """Return the serial console of a node; the one that is open, for a node has one.

        Raises:
            LabctlError: there is no such node, it is not running, or the team has too many open.
        """
        async with self._consoles.setdefault((team, node), asyncio.Lock()):
            for terminal in self.of(team):
                if (terminal.kind, terminal.node) == ("console", node) and not terminal.over:
                    return terminal

            async def opened() -> Source:
                return await SerialConsole.opened(self._hall.labs, team, node)

            return await self._new("console", (team, node), address, opened)

    async def _new(
        self,
        kind: Kind,
        place: tuple[str, str],
        address: str,
        opened: Callable[[], Awaitable[Source]],
        *,
        size: Size | None = None,
    ) -> Terminal:
        team, node = place
        if len(self.of(team)) >= _OF_A_TEAM:
            raise RefusedError(f"{team} has {_OF_A_TEAM} terminals open", remedy="Close some of them.")
        mark = (await self._hall.labs.marks(team)).get(node)
        if mark is None:
            raise InputError(f"{team} has no node {node}")
        source = await opened()

        def ended(terminal: Terminal) -> None:
            del self._open[terminal.id]
            self._hall.guests.discard(terminal)
            self._note(terminal, "end", address)
            self._changed()

        terminal = Terminal(kind, place, mark, source, size=size, ended=ended)
        if self._hall.recordings is not None and size is not None:
            terminal.record(self._hall.recordings.begin(team, node, size))
        self._open[terminal.id] = terminal
        self._hall.guests.add(terminal)
        self._note(terminal, "open", address)
        self._changed()
        return terminal

    @contextlib.asynccontextmanager
    async def picture(self, team: str, node: str, address: str) -> AsyncIterator[Picture]:
        """Connect with a node's screen while a `with` statement lasts.

        Raises:
            LabctlError: there is no such node, or it is not running.
        """
        name, since = secrets.token_hex(4), time.time()
        picture = await Picture.opened(self._hall.labs, team, node)
        self._hall.guests.add(picture)
        self._write("open", name, (team, node), address, "browser screen")
        try:
            yield picture
        finally:
            self._hall.guests.discard(picture)
            picture.close()
            self._write("end", name, (team, node), address, "browser screen", since=since)

    def came(self, event: Event, team: str, address: str, how: str) -> None:
        """Have it written down that somebody logged in to the pages, or could not."""
        self._write(event, secrets.token_hex(4), (team[:64], ""), address, f"browser, {how}")

    def joined(self, terminal: Terminal, address: str) -> None:
        """Have it written down that the organiser looks at a terminal."""
        self._note(terminal, "open", address, f"browser {terminal.kind} joined by the organiser")

    def _note(self, terminal: Terminal, event: Event, address: str, what: str = "") -> None:
        what = what or f"browser {terminal.kind}"
        since = terminal.since if event == "end" else None
        self._write(event, terminal.id[:8], (terminal.team, terminal.node), address, what, since=since)

    def _write(
        self, event: Event, name: str, place: tuple[str, str], address: str, what: str, *, since: float | None = None
    ) -> None:
        team, node = place
        now = time.time()
        self._hall.note(
            SessionEvent(
                at=round(now, 3),
                event=event,
                connection=name,
                team=team,
                address=address,
                what=what,
                where=node,
                seconds=round(now - since, 1) if since is not None else None,
            )
        )

    async def close(self) -> None:
        """End all."""
        tasks = [terminal.task for terminal in self._open.values()]
        for terminal in list(self._open.values()):
            terminal.disconnect("The door closes.")
        if tasks:
            await asyncio.wait(tasks, timeout=_PATIENCE)
