"""A connection with a node's screen: VNC, of which nothing is understood here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from labctl.door.labs import Calls
from labctl.errors import InputError
from labctl.lab.visit import Line, Mark

_MOST = 64 * 1024


class Picture:
    """One such connection; several may look at a screen.

    Args:
        mark: which making of the node it leads to.
        line: what `reader` and `writer` read and write.
    """

    def __init__(
        self,
        place: tuple[str, str],
        mark: Mark,
        line: Line,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.team, self.node = place
        self._mark, self._reader, self._writer = mark, reader, writer
        self._line: Line | None = line

    @classmethod
    async def opened(cls, labs: Calls, team: str, node: str) -> Picture:
        """Connect with the screen of a node of a team's lab.

        Raises:
            LabctlError: there is no such node, or it is not running.
        """
        mark = (await labs.marks(team)).get(node)
        if mark is None:
            raise InputError(f"{team} has no node {node}")
        line = await labs.picture(team, node)
        line.socket.setblocking(False)
        return cls((team, node), mark, line, *await asyncio.open_connection(sock=line.socket))

    async def read(self) -> bytes:
        """Return what the screen says; nothing at the end."""
        try:
            return await self._reader.read(_MOST)
        except OSError:
            return b""

    async def write(self, data: bytes) -> None:
        """Send what keyboard and mouse say."""
        with contextlib.suppress(OSError):
            self._writer.write(data)
            await self._writer.drain()

    def disconnect(self, why: str) -> None:
        """End it."""
        self.close()

    def end_stale(self, now: Mapping[str, Mark]) -> None:
        """End it where its node has been made anew or removed."""
        if now.get(self.node) != self._mark:
            self.close()

    def close(self) -> None:
        """Let go of it; safe more than once."""
        if self._line is not None:
            self._writer.close()
            self._line.release()
            self._line = None
