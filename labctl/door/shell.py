"""A shell on a node for somebody who is no SSH client."""

from __future__ import annotations

import contextlib

import asyncssh

from labctl.door.logins import Kept, Logins
from labctl.errors import RemoteError

_MOST = 64 * 1024  # bytes at a time
_TYPE = "xterm-256color"


class Shell:
    """A login shell of root in a terminal of its own, by the login that the SSH door uses, too.

    Args:
        process: the shell; `opened` starts it.
    """

    printed = b""

    def __init__(self, logins: Logins, kept: Kept, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._logins, self._process = logins, process
        self._kept: Kept | None = kept

    @classmethod
    async def opened(cls, logins: Logins, team: str, node: str, *, columns: int, rows: int) -> Shell:
        """Log in to a node of a team's lab.

        Raises:
            LabctlError: the node cannot be reached, or opens no shell.
        """
        kept = await logins.take(team, node)
        try:
            process: asyncssh.SSHClientProcess[bytes] = await kept.connection.create_process(
                term_type=_TYPE, term_size=(columns, rows), encoding=None
            )
        except BaseException as exc:
            logins.give(kept)
            if isinstance(exc, (asyncssh.Error, OSError)):
                raise RemoteError(f"{node} opens no shell", details=str(exc)) from exc
            raise
        return cls(logins, kept, process)

    async def read(self) -> bytes:
        """Return what the shell has printed; nothing at its end."""
        try:
            return await self._process.stdout.read(_MOST)
        except (asyncssh.Error, OSError):
            return b""

    async def write(self, data: bytes) -> None:
        """Type; waits while the shell is slow."""
        with contextlib.suppress(asyncssh.Error, OSError):
            self._process.stdin.write(data)
            await self._process.stdin.drain()

    def resize(self, columns: int, rows: int) -> None:
        """Tell the shell how large its terminal is."""
        with contextlib.suppress(asyncssh.Error, OSError):
            self._process.change_terminal_size(columns, rows)

    def close(self) -> None:
        """Hang up, and give the login back; safe more than once."""
        if self._kept is not None:
            self._logins.give(self._kept)
            self._kept = None
            self._process.close()
