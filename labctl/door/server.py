"""The door itself: listens, keeps order among visitors, and writes down who came."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import asyncssh

from labctl.door.labs import Calls, Labs
from labctl.door.logins import Logins
from labctl.door.visitor import Building, Visitor
from labctl.errors import LabctlError, RefusedError
from labctl.lab.limit import Limit
from labctl.lab.sessions import SessionEvent

_VISITORS = 500  # connections at a time
_OF_A_TEAM = 100
_STRANGERS = 60  # of them not yet logged in
_WRONG_OF_TEAM, _WRONG_OF_ADDRESS = 5, 100  # wrong passwords a minute; a whole classroom may have one address
_MINUTE = 60.0
_LOGIN = 60.0  # seconds for a visitor to log in
_WATCH = 2.0  # seconds between looks whether labs have changed
_KEEPALIVE, _MISSED = 30, 4

logging.getLogger("asyncssh").addHandler(logging.NullHandler())


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Where and as whom the door listens.

    Attributes:
        address: of this machine; empty for all.
        port: 0 for one that is free.
        host_key: private key in OpenSSH's format.
    """

    address: str
    port: int
    host_key: str


@contextlib.asynccontextmanager
async def opened(
    labs: Labs,
    listening: Listening,
    *,
    record: Callable[[Sequence[SessionEvent]], None],
    failed: Callable[[LabctlError], None],
) -> AsyncIterator[int]:
    """Keep the door open while a `with` statement lasts; give the port.

    Args:
        record: writes events down; called in a thread.
        failed: told what went wrong meanwhile, the same thing at most once a minute; the door stays open.

    Raises:
        RefusedError: the port is taken, or the address is none of this machine.
    """
    door = _Door(labs, record, failed)
    try:
        server = await asyncssh.listen(
            listening.address,
            listening.port,
            server_factory=door.visitor,
            server_host_keys=[asyncssh.import_private_key(listening.host_key)],
            server_version="labctl",
            config=None,
            kbdint_auth=False,
            host_based_auth=False,
            gss_host=None,
            encoding=None,
            line_editor=False,
            allow_scp=False,
            sftp_factory=None,
            agent_forwarding=False,
            x11_forwarding=False,
            rdns_lookup=False,
            login_timeout=_LOGIN,
            keepalive_interval=_KEEPALIVE,
            keepalive_count_max=_MISSED,
        )
    except OSError as exc:
        raise RefusedError(
            f"port {listening.port} of {listening.address or 'this machine'} cannot be listened on",
            details=str(exc),
            remedy="Choose another with --ssh [ADDRESS:]PORT.",
        ) from exc
    tasks = [asyncio.create_task(work) for work in (door.write(), door.watch())]
    try:
        yield server.get_port()
    finally:
        server.close()
        door.say_goodbye()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
        await door.close()


class _Door:
    """What the visitors share."""

    def __init__(
        self,
        labs: Labs,
        record: Callable[[Sequence[SessionEvent]], None],
        failed: Callable[[LabctlError], None],
    ) -> None:
        self._record, self._tell = record, failed
        self._told: dict[str, float] = {}
        self._events: asyncio.Queue[SessionEvent] = asyncio.Queue()
        self._visitors: set[Visitor] = set()
        self._labs = Calls(labs)
        self._logins = Logins(self._labs)
        self._building = Building(
            labs=self._labs,
            logins=self._logins,
            by_team=Limit(_WRONG_OF_TEAM, _MINUTE, time.monotonic),
            by_address=Limit(_WRONG_OF_ADDRESS, _MINUTE, time.monotonic),
            record=self._events.put_nowait,
            failed=self._failed,
        )

    def visitor(self) -> Visitor:
        """Return who handles a new connection."""
        return Visitor(self._building, room=self._room, left=self._visitors.discard)

    async def write(self) -> None:
        """Write events down as they come, those that came meanwhile together."""
        while True:
            events = [await self._events.get()]
            await self._written(events)

    async def watch(self) -> None:
        """End what leads to nodes that were made anew, and the connections of teams that are let in no more."""
        while True:
            await asyncio.sleep(_WATCH)
            for team in {visitor.team for visitor in self._visitors if visitor.admitted}:
                try:
                    await self._look(team)
                except LabctlError as exc:
                    self._failed(exc)
            self._logins.sweep()
            await self._labs.sweep()

    def say_goodbye(self) -> None:
        """End all connections."""
        for visitor in list(self._visitors):
            visitor.disconnect("The door closes.")
        self._logins.close()

    async def close(self) -> None:
        """Write down what is not yet, and let go of the labs."""
        await self._written([])
        self._labs.close()

    async def _look(self, team: str) -> None:
        marks, access = await self._labs.marks(team), await self._labs.access(team)
        for visitor in [visitor for visitor in self._visitors if visitor.admitted and visitor.team == team]:
            if access is None:
                visitor.disconnect("Your team has no access any more.")
            visitor.end_stale(marks)
        self._logins.drop_stale(team, marks)

    async def _written(self, events: list[SessionEvent]) -> None:
        while not self._events.empty():
            events.append(self._events.get_nowait())
        try:
            if events:
                await asyncio.to_thread(self._record, events)
        except LabctlError as exc:
            self._failed(exc)

    def _failed(self, error: LabctlError) -> None:
        now = time.monotonic()
        if now - self._told.get(error.brief, -_MINUTE) >= _MINUTE:
            self._told[error.brief] = now
            self._tell(error)

    def _room(self, visitor: Visitor) -> bool:
        self._visitors.add(visitor)
        strangers = sum(not each.admitted for each in self._visitors)
        team = sum(each.admitted and each.team == visitor.team for each in self._visitors)
        return len(self._visitors) <= _VISITORS and strangers <= _STRANGERS and team <= _OF_A_TEAM
