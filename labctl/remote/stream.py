"""One shape for what carries bytes to a node: a TCP socket or a channel through another SSH connection."""

from __future__ import annotations

import contextlib
import logging
import socket
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from paramiko import Channel

LOG = "labctl.remote.paramiko"  # paramiko's log; its own channel would print to standard error
logging.getLogger(LOG).addHandler(logging.NullHandler())

KEEPALIVE = 15  # seconds of silence after which SSH asks whether the other side is still there
_DEAD_AFTER = 60_000  # milliseconds without an acknowledgement until the kernel gives a connection up


class Stream(Protocol):
    """What we use of a socket; `socket.socket` has it."""

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Return the bytes that are there, at most `size`; none when the other side has closed."""
        ...

    def send(self, content: bytes, /) -> int:
        """Send bytes and return how many were taken."""
        ...

    def sendall(self, content: bytes, /) -> None:
        """Send every byte."""
        ...

    def settimeout(self, seconds: float | None, /) -> None:
        """Limit how long each of the calls above may take."""
        ...

    def shutdown(self, how: int, /) -> None:
        """End one or both directions."""
        ...

    def close(self) -> None:
        """Give it back."""
        ...


class ChannelStream:
    """Makes a paramiko channel look like a socket, peeking included."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._peeked = b""

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Return the bytes that are there; with MSG_PEEK they stay there."""
        content = self._peeked or self._channel.recv(size)
        self._peeked = content if flags & socket.MSG_PEEK else content[size:]
        return content[:size]

    def send(self, content: bytes, /) -> int:
        """Send bytes and return how many were taken."""
        return self._channel.send(content)

    def sendall(self, content: bytes, /) -> None:
        """Send every byte."""
        self._channel.sendall(content)

    def settimeout(self, seconds: float | None, /) -> None:
        """Limit how long each of the calls above may take."""
        self._channel.settimeout(seconds)

    def shutdown(self, how: int, /) -> None:
        """End one or both directions."""
        self._channel.shutdown(how)

    def close(self) -> None:
        """Close the channel, even when the connection under it is gone."""
        with contextlib.suppress(OSError, EOFError):
            self._channel.close()

    @property
    def _closed(self) -> bool:  # paramiko asks the socket under a connection for this when it ends one
        return self._channel.closed


def tune(stream: Stream) -> None:
    """Set a TCP socket's options for SSH: send small packets at once, and end when the other side is gone.

    Without TCP_NODELAY every handshake waits 40 ms for a delayed acknowledgement (measured against a local sshd).
    TCP_USER_TIMEOUT ends connections to nodes that were paused, reset or destroyed.
    """
    if isinstance(stream, socket.socket):
        with contextlib.suppress(OSError):  # not a TCP socket
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER)
