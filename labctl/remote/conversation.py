"""Writes a command's input over SSH and reads its output, in one thread, without one blocking the other."""

from __future__ import annotations

import codecs
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from labctl.errors import DeadlineError, RemoteError
from labctl.remote.translate import translating

if TYPE_CHECKING:
    from paramiko import Channel

_CHUNK = 65536
_WINDOW_FULL = 0.02  # seconds until we look again whether the other side takes more input
_SLICE = 0.5  # seconds between looks at what paramiko does not announce
_DRAIN = 2.0  # seconds that output may follow after a command's end, held open by something it left behind


class Interrupted(RemoteError):  # noqa: N818 - it is no error of anybody's
    """The command was abandoned because its caller was interrupted."""


class Conversation:
    """What goes to and comes from one command.

    Attributes:
        said: its output so far.
        complained: its standard error so far.
    """

    def __init__(self, name: str, channel: Channel, stdin: bytes, on_output: Callable[[str], None] | None) -> None:
        self._name = name
        self.said = bytearray()
        self.complained = bytearray()
        self._channel = channel
        self._stdin: memoryview | None = memoryview(stdin)
        self._alarm = _Alarm()
        self._printers = [_Lines(on_output), _Lines(on_output)] if on_output else []
        # Not Channel.fileno(): its pair of pipes can lose a wake-up when both streams stir at once.
        channel.in_buffer.set_event(self._alarm)
        channel.in_stderr_buffer.set_event(self._alarm)

    def hold(self, deadline: float, cancelled: threading.Event | None = None) -> int | None:
        """Write and read until the command has ended; return its exit code, None if the channel closed without one.

        Args:
            deadline: `time.monotonic()` at which to stop.
            cancelled: ends the wait within half a second when set.

        Raises:
            DeadlineError: it has not ended by then.
            Interrupted: `cancelled` was set.
            RemoteError: its input cannot be sent.
        """
        ended_at: float | None = None
        while True:
            self._alarm.reset()
            finished = self._channel.closed or self._channel.eof_received  # before reading, so that nothing is left
            self._read()
            if finished:
                break
            now = time.monotonic()
            if self._channel.exit_status_ready():
                ended_at = ended_at or now
                if now - ended_at > _DRAIN:
                    break
            if now >= deadline:
                raise DeadlineError("The command goes on")
            if cancelled is not None and cancelled.is_set():
                raise Interrupted("The caller was told to stop")
            with translating(self._name):
                blocked = self._write()
            self._alarm.wait(min(_WINDOW_FULL if blocked else _SLICE, deadline - now))
        for printer in self._printers:
            printer.end()
        if not self._channel.status_event.wait(max(deadline - time.monotonic(), 0.0)):
            raise DeadlineError("The command closed its output and goes on")
        return None if self._channel.exit_status < 0 else self._channel.exit_status

    def tail(self, lines: int = 12) -> str:
        """Return the last lines of the command's output."""
        return "\n".join((self.said + self.complained).decode(errors="replace").strip().splitlines()[-lines:])

    def _read(self) -> None:
        streams = (
            (self.said, self._channel.recv_ready, self._channel.recv),
            (self.complained, self._channel.recv_stderr_ready, self._channel.recv_stderr),
        )
        for index, (kept, ready, receive) in enumerate(streams):
            while ready():
                content = receive(_CHUNK)
                kept += content
                if self._printers:
                    self._printers[index].feed(content)

    def _write(self) -> bool:
        """Send what fits; return whether more is left to send."""
        if self._stdin is None:
            return False
        while self._stdin and self._channel.send_ready():
            try:
                sent = self._channel.send(bytes(self._stdin[:_CHUNK]))
            except OSError:
                if not self._channel.closed:
                    raise
                sent = 0
            self._stdin = self._stdin[sent:] if sent else None  # 0: the command ended without reading it all
            if self._channel.recv_ready() or self._channel.recv_stderr_ready():
                break
        if self._stdin:
            return True
        if self._stdin is not None:
            self._stdin = None
            self._channel.shutdown_write()
        return False


class _Alarm(threading.Event):
    """Tells that a stream stirred. The streams may not lower it, only who listens, before looking."""

    def clear(self) -> None:
        """Do nothing."""

    def reset(self) -> None:
        """Lower it."""
        super().clear()


class _Lines:
    """Cuts a stream of bytes into lines."""

    def __init__(self, receive: Callable[[str], None]) -> None:
        self._receive = receive
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def feed(self, content: bytes) -> None:
        """Hand on the lines that are complete."""
        *lines, self._rest = (self._rest + self._decoder.decode(content)).split("\n")
        for line in lines:
            self._receive(line.rstrip("\r"))

    def end(self) -> None:
        """Hand on a last line without a newline."""
        if self._rest:
            self._receive(self._rest)
            self._rest = ""
