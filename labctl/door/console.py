"""A node's serial console as a terminal shows it."""

from __future__ import annotations

import asyncio
import contextlib

from labctl.door.labs import Calls
from labctl.lab.visit import Console

_KEPT = 1024**2  # bytes that wait for slow browsers; a console that prints more loses the oldest


class SerialConsole:
    """What a node prints to its serial console.

    Attributes:
        printed: the last that it had printed when it was opened.
    """

    def __init__(self) -> None:
        self.printed = b""
        self._loop = asyncio.get_running_loop()
        self._waiting = bytearray()
        self._some = asyncio.Event()
        self._over = False
        self._console: Console | None = None

    @classmethod
    async def opened(cls, labs: Calls, team: str, node: str) -> SerialConsole:
        """Open the console of a node of a team's lab.

        Raises:
            LabctlError: there is no such node, or it is not running.
        """
        made = cls()
        console = await labs.console(team, node, made._received)
        made._console = console
        made.printed = console.printed
        return made

    async def read(self) -> bytes:
        """Return what was printed since; nothing at the end."""
        while not self._waiting and not self._over:
            self._some.clear()
            await self._some.wait()
        data = bytes(self._waiting)
        self._waiting.clear()
        return data

    async def write(self, data: bytes) -> None:
        """Type."""
        if self._console is not None:
            await asyncio.to_thread(self._console.write, data)

    def resize(self, columns: int, rows: int) -> None:
        """Do nothing: a serial line does not know how large a terminal is."""

    def close(self) -> None:
        """Let go of the console; safe more than once."""
        if self._console is not None:
            self._loop.run_in_executor(None, self._console.close)
            self._console = None

    def _received(self, data: bytes) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._take, data)

    def _take(self, data: bytes) -> None:
        self._waiting += data
        del self._waiting[:-_KEPT]
        self._over = self._over or not data
        self._some.set()
