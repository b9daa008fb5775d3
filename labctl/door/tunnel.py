"""Carries a connection that a visitor opened through the door (ssh -J, -L, -D) to a port of the team's lab."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncssh

from labctl.lab.visit import Line


class Tunnel(asyncssh.SSHTCPSession[bytes]):
    """The visitor's side of a connection.

    Args:
        ended: called once, when both sides are closed.
    """

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._outlet = _Outlet(self)
        self._channel: asyncssh.SSHTCPChannel[bytes] | None = None
        self._half = False

    async def connect(self, line: Line) -> None:
        """Take over an open connection to the lab; nothing is read from it before the visitor's side stands."""
        line.socket.setblocking(False)
        await asyncio.get_running_loop().create_connection(lambda: self._outlet, sock=line.socket)

    def end(self) -> None:
        """Close both sides at once."""
        if self._channel is not None:
            self._channel.abort()
        self._outlet.transport.abort()

    # -- what the visitor's side says -------------------------------------------------------------------------------

    def connection_made(self, chan: Any) -> None:
        """Keep the channel."""
        self._channel = chan

    def session_started(self) -> None:
        """Begin to read from the lab."""
        self._outlet.transport.resume_reading()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Pass bytes on to the lab."""
        self._outlet.transport.write(data)

    def eof_received(self) -> bool:
        """Tell the lab that no more comes; the other direction stays open."""
        if self._outlet.transport.can_write_eof() and not self._outlet.transport.is_closing():
            self._outlet.transport.write_eof()
        self._halved()
        return True

    def pause_writing(self) -> None:
        """Read no more from the lab while the visitor is slow."""
        self._outlet.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on reading."""
        self._outlet.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the lab's side too, when what was written is sent."""
        self._channel = None
        self._outlet.transport.close()

    # -- what the lab's side says -----------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Pass bytes on to the visitor."""
        if self._channel is not None:
            self._channel.write(data)

    def received_all(self) -> None:
        """Tell the visitor that no more comes."""
        if self._channel is not None:
            self._channel.write_eof()
            self._halved()

    def pause(self, paused: bool) -> None:
        """Read no more from the visitor while the lab is slow, or go on."""
        if self._channel is not None and paused:
            self._channel.pause_reading()
        elif self._channel is not None:
            self._channel.resume_reading()

    def lost(self) -> None:
        """Close the visitor's side too: the lab's is closed."""
        if self._channel is not None:
            self._channel.close()
        self._ended()

    def _halved(self) -> None:
        """Close both sides when both have said that no more comes."""
        if self._half and self._channel is not None:
            self._channel.close()
        self._half = True


class _Outlet(asyncio.Protocol):
    """The lab's side of a connection."""

    transport: asyncio.Transport

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self._tunnel.receive(data)

    def eof_received(self) -> bool:
        self._tunnel.received_all()
        return True

    def pause_writing(self) -> None:
        self._tunnel.pause(True)

    def resume_writing(self) -> None:
        self._tunnel.pause(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tunnel.lost()
