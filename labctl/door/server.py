"""The SSH door itself: listens, and keeps order among visitors."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncssh

from labctl.door.hall import Hall
from labctl.door.visitor import Building, Visitor
from labctl.errors import RefusedError
from labctl.lab.limit import Limit

_VISITORS = 500  # connections at a time
_OF_A_TEAM = 100
_STRANGERS = 60  # of them not yet logged in
_WRONG_OF_TEAM, _WRONG_OF_ADDRESS = 5, 100  # wrong passwords a minute; a whole classroom may have one address
_MINUTE = 60.0
_LOGIN = 60.0  # seconds for a visitor to log in
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
async def opened(hall: Hall, listening: Listening) -> AsyncIterator[int]:
    """Keep the door open while a `with` statement lasts; give the port.

    Raises:
        RefusedError: the port is taken, or the address is none of this machine.
    """
    door = _Door(hall)
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
    try:
        yield server.get_port()
    finally:
        server.close()
        door.say_goodbye()
        await server.wait_closed()


class _Door:
    """Keeps order among the visitors."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._visitors: set[Visitor] = set()
        self._building = Building(
            labs=hall.labs,
            logins=hall.logins,
            by_team=Limit(_WRONG_OF_TEAM, _MINUTE, time.monotonic),
            by_address=Limit(_WRONG_OF_ADDRESS, _MINUTE, time.monotonic),
            record=hall.note,
            failed=hall.failed,
            recordings=hall.recordings,
        )

    def visitor(self) -> Visitor:
        """Return who handles a new connection."""
        return Visitor(self._building, room=self._room, left=self._left)

    def say_goodbye(self) -> None:
        """End all connections."""
        for visitor in list(self._visitors):
            visitor.disconnect("The door closes.")

    def _room(self, visitor: Visitor) -> bool:
        self._visitors.add(visitor)
        if visitor.admitted:
            self._hall.guests.add(visitor)
        strangers = sum(not each.admitted for each in self._visitors)
        team = sum(each.admitted and each.team == visitor.team for each in self._visitors)
        return len(self._visitors) <= _VISITORS and strangers <= _STRANGERS and team <= _OF_A_TEAM

    def _left(self, visitor: Visitor) -> None:
        self._visitors.discard(visitor)
        self._hall.guests.discard(visitor)
