"""A shell, a command or a file transfer of a visitor: the node's own SSH server does it, behind a session of ours."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncssh

from labctl.door.logins import Kept, Logins
from labctl.door.recording import TOLD, Recording
from labctl.errors import InputError, LabctlError
from labctl.lab.visit import Mark

GONE = 255
"""Exit status where the node went away, as OpenSSH's own."""

_BAD = 2  # exit status for what the visitor typed wrongly
_STDERR = asyncssh.EXTENDED_DATA_STDERR
_SUBSYSTEMS = ("sftp",)


@dataclass(frozen=True, kw_only=True)
class Place:
    """The node that a session goes to.

    Attributes:
        team: whose lab.
        node: its name in the lab.
    """

    team: str
    node: str


Choose = Callable[["Session"], Awaitable[Place | None]]
"""Finds out which node a session is for, perhaps by asking the visitor; None when the session has ended meanwhile."""


class Session(asyncssh.SSHServerSession[bytes]):
    """The visitor's side of a session. It ends when the node's does, and the other way round.

    Args:
        choose: which node it goes to.
        began: told what is opened where (shell, command, sftp), and which making of the node it is, when it stands.
        refused: told what is refused.
        ended: called once, at the end.
    """

    def __init__(
        self,
        logins: Logins,
        choose: Choose,
        *,
        began: Callable[[Session, str, Place, Mark], None],
        refused: Callable[[str], object],
        ended: Callable[[Session], None],
    ) -> None:
        self._logins = logins
        self._choose = choose
        self._began, self._refused, self._ended = began, refused, ended
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._node: asyncssh.SSHClientChannel[bytes] | None = None
        self._kept: Kept | None = None
        self._task: asyncio.Task[None] | None = None
        self._typed: asyncio.Queue[bytes] = asyncio.Queue()
        self._command: str | None = None
        self._subsystem: str | None = None
        self._recording: Recording | None = None
        self._over = False
        self.place: Place | None = None

    @property
    def kind(self) -> str:
        """What the visitor asked for: shell, command or sftp."""
        return self._subsystem or ("shell" if self._command is None else "command")

    @property
    def terminal(self) -> bool:
        """Whether the visitor sits at a terminal."""
        return self._channel is not None and self._channel.get_terminal_type() is not None

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the visitor's terminal; zeros where there is none."""
        columns, rows, *_ = self._channel.get_terminal_size() if self._channel is not None else (0, 0)
        return columns, rows

    def record(self, recording: Recording | None) -> None:
        """Keep what the node prints from now on, and tell the visitor."""
        self._recording = recording
        if recording is not None:
            self._write(TOLD.encode(), None)
            if self._over:  # the visitor left meanwhile
                recording.close()

    def say(self, text: str) -> None:
        """Write to the visitor, lines ended as a terminal in raw mode wants them."""
        self._write((text.replace("\n", "\r\n") if self.terminal else text).encode(), None)

    async def typed(self) -> bytes:
        """Return the next bytes that the visitor typed; none at the end."""
        if self._typed.empty() and self._channel is not None:
            self._channel.resume_reading()
        data = await self._typed.get()
        if self._channel is not None:
            self._channel.pause_reading()
        return data

    def untyped(self, data: bytes) -> None:
        """Put bytes back that were not needed: they are for the node."""
        if data:
            rest = [self._typed.get_nowait() for _ in range(self._typed.qsize())]
            for each in (data, *rest):
                self._typed.put_nowait(each)

    def end(self, why: str) -> None:
        """End it now, with a message for the visitor."""
        self._finish(GONE, why)
        if self._node is not None:
            self._node.abort()

    # -- what the visitor's side says -------------------------------------------------------------------------------

    def connection_made(self, chan: Any) -> None:
        """Keep the channel."""
        self._channel = chan

    def pty_requested(self, term_type: str, term_size: Any, term_modes: Any) -> bool:
        """Allow a terminal; the node makes it."""
        return True

    def shell_requested(self) -> bool:
        """Allow a shell."""
        return True

    def exec_requested(self, command: str) -> bool:
        """Allow a command: scp and rsync are some."""
        self._command = command
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        """Allow file transfers, and no other subsystem."""
        if subsystem not in _SUBSYSTEMS:
            self._refused(f"subsystem {subsystem}")
            return False
        self._subsystem = subsystem
        return True

    def session_started(self) -> None:
        """Find the node, and open there what was asked for."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._ran)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Pass bytes on to the node, or keep them until it is there."""
        if self._node is None:
            self._typed.put_nowait(data)
        else:
            with contextlib.suppress(OSError):
                self._node.write(data)

    def eof_received(self) -> bool:
        """Tell the node that no more comes; what it prints is still shown."""
        if self._node is None:
            self._typed.put_nowait(b"")
        else:
            with contextlib.suppress(OSError):
                self._node.write_eof()
        return True

    def pause_writing(self) -> None:
        """Read no more from the node while the visitor is slow."""
        if self._node is not None:
            self._node.pause_reading()

    def resume_writing(self) -> None:
        """Go on reading."""
        if self._node is not None:
            self._node.resume_reading()

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        """Tell the node."""
        if self._node is not None:
            self._node.change_terminal_size(width, height, pixwidth, pixheight)
        if self._recording is not None:
            self._recording.resize(width, height)

    def signal_received(self, signal: str) -> None:
        """Tell the node."""
        if self._node is not None:
            self._node.send_signal(signal)

    def break_received(self, msec: int) -> bool:
        """Tell the node."""
        if self._node is not None:
            self._node.send_break(msec)
        return self._node is not None

    def connection_lost(self, exc: Exception | None) -> None:
        """End what runs on the node for this session, as a hang-up does."""
        self._channel = None
        self._typed.put_nowait(b"")
        if self._node is not None:
            self._node.close()
        self._finish(GONE, "")

    # -- what the node's side says ----------------------------------------------------------------------------------

    def receive(self, data: bytes, datatype: int | None) -> None:
        """Pass bytes on to the visitor."""
        if self._recording is not None:
            self._recording.show(data)
        self._write(data, datatype)

    def received_all(self) -> None:
        """Tell the visitor that no more comes."""
        if self._channel is not None:
            with contextlib.suppress(OSError):
                self._channel.write_eof()

    def pause(self, paused: bool) -> None:
        """Read no more from the visitor while the node is slow, or go on."""
        if self._channel is not None and paused:
            self._channel.pause_reading()
        elif self._channel is not None:
            self._channel.resume_reading()

    def lost(self, status: int | None, signal: str | None) -> None:
        """End as the node's side ended; without a status it went away."""
        if signal is not None and self._channel is not None:
            self._channel.exit_with_signal(signal)
        why = "" if signal is not None or status is not None else "The node has ended the session."
        self._finish(GONE if status is None else status, why)

    # -- in between -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            if self._channel is not None:
                self._channel.pause_reading()  # what is typed waits with the visitor until the node is there
            place = self.place = await self._choose(self)
            if place is None:
                self._finish(_BAD, "")
                return
            kept = await self._logins.take(place.team, place.node)
            if self._over:  # the visitor left meanwhile
                self._logins.give(kept)
                return
            self._kept = kept
            await self._open(kept, place)
        except LabctlError as exc:
            self._finish(_BAD if isinstance(exc, InputError) else GONE, f"labctl: {exc}")
        except (asyncssh.Error, OSError) as exc:
            self._finish(GONE, f"labctl: {self.place.node if self.place else 'the lab'}: {exc}")

    async def _open(self, kept: Kept, place: Place) -> None:
        """Open the same on the node, and join both."""
        channel = self._channel
        assert channel is not None
        size, modes = channel.get_terminal_size(), dict(channel.get_terminal_modes())
        node, _ = await kept.connection.create_session(
            lambda: _NodeSession(self),
            self._command or None,
            subsystem=self._subsystem,
            term_type=channel.get_terminal_type(),
            term_size=size,
            term_modes=modes,
            encoding=None,
        )
        self._node = node
        if self._over:  # the visitor left meanwhile
            node.close()
            return
        if channel.get_terminal_size() != size:
            node.change_terminal_size(*channel.get_terminal_size())
        while not self._typed.empty():
            if data := self._typed.get_nowait():
                node.write(data)
            else:
                node.write_eof()
        self._began(self, self.kind, place, kept.mark)
        channel.resume_reading()

    def _ran(self, task: asyncio.Task[None]) -> None:
        """See that nobody waits for ever for a task that failed in a way that nobody foresaw."""
        if not task.cancelled() and (exc := task.exception()) is not None:
            self._finish(GONE, f"labctl itself failed: {type(exc).__name__}")
            raise exc

    def _write(self, data: bytes, datatype: int | None) -> None:
        if self._channel is not None:
            with contextlib.suppress(OSError):
                self._channel.write(data, datatype)

    def _finish(self, status: int, why: str) -> None:
        """Give everything back, and tell the visitor; safe more than once."""
        if self._over:
            return
        self._over = True
        if self._kept is not None:
            self._logins.give(self._kept)
        if self._recording is not None:
            self._recording.close()
        if why:
            self._write(f"{why}\n".replace("\n", "\r\n").encode(), _STDERR)
        if self._channel is not None:
            with contextlib.suppress(OSError):
                self._channel.exit(status)
        self._ended(self)


class _NodeSession(asyncssh.SSHClientSession[bytes]):
    """The node's side of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._status: int | None = None
        self._signal: str | None = None

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._session.receive(data, datatype)

    def eof_received(self) -> bool:
        self._session.received_all()
        return True

    def pause_writing(self) -> None:
        self._session.pause(True)

    def resume_writing(self) -> None:
        self._session.pause(False)

    def exit_status_received(self, status: int) -> None:
        self._status = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self._signal = signal

    def connection_lost(self, exc: Exception | None) -> None:
        self._session.lost(self._status, self._signal)
