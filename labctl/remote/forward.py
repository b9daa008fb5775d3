"""Carries TCP connections from a port of this machine to a port of a guest."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from collections.abc import Callable

from labctl.errors import InputError, LabctlError, RefusedError
from labctl.remote.stream import Stream

_CHUNK = 64 * 1024
_BACKLOG = 32


class Forward:
    """A port that is listened on until it is closed; each connection is carried by two threads.

    Args:
        address, port: of this machine; port 0 chooses a free one.
        dial: opens a connection to the other side.

    Raises:
        InputError: the address is none of this machine.
        RefusedError: the port is taken, or needs root.
    """

    def __init__(self, address: str, port: int, dial: Callable[[], Stream]) -> None:
        self._dial = dial
        try:
            self._listener = _listener(address, port)
        except UnicodeError as exc:
            raise _no_address(address, str(exc)) from exc
        except OSError as exc:
            if exc.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise _no_address(address, str(exc)) from exc
            raise RefusedError(
                f"port {port} of {address} cannot be listened on",
                details=str(exc),
                remedy="Choose another with --port.",
            ) from exc
        self.address, self.port = self._listener.getsockname()[:2]
        threading.Thread(target=self._accept, name="forward", daemon=True).start()

    @property
    def netloc(self) -> str:
        """Address and port as they stand in a URL."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    def close(self) -> None:
        """Stop listening; connections that stand end with the program."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._carry, args=(client,), name="forward", daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        try:
            other = self._dial()
        except LabctlError:  # the caller of the port sees a closed connection, as it would at the node
            client.close()
            return
        _join(client, other)


def carry(stream: Stream, *, source: int, target: int) -> None:
    """Carry bytes between a connection and two open files, a program's standard input and output, until it has ended.

    Args:
        source: descriptor that is read from; its end is told to the other side.
        target: descriptor that is written to.
    """

    def send() -> None:
        with contextlib.suppress(OSError, EOFError):
            while content := os.read(source, _CHUNK):
                stream.sendall(content)
            stream.shutdown(socket.SHUT_WR)

    threading.Thread(target=send, name="carry", daemon=True).start()
    with contextlib.suppress(ConnectionError, EOFError):
        while content := stream.recv(_CHUNK):
            view = memoryview(content)
            while view:
                view = view[os.write(target, view) :]
    stream.close()


def as_socket(stream: Stream) -> socket.socket:
    """Return a socket for a stream, itself where it is one; it belongs to the socket from here on."""
    if isinstance(stream, socket.socket):
        return stream
    ours, theirs = socket.socketpair()
    stream.settimeout(None)
    threading.Thread(target=_join, args=(theirs, stream), name="as-socket", daemon=True).start()
    return ours


def _join(one: Stream, other: Stream) -> None:
    """Carry bytes both ways until both have ended, and close both."""
    back = threading.Thread(target=_pump, args=(other, one), name="forward", daemon=True)
    back.start()
    _pump(one, other)
    back.join()
    one.close()
    other.close()


def _listener(address: str, port: int) -> socket.socket:
    if not address.strip():  # which would be every address of this machine
        raise _no_address(address, "It is empty; 0.0.0.0 would be all addresses of this machine.")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=_BACKLOG)


def _no_address(address: str, why: str) -> InputError:
    return InputError(
        f"{address!r} is no address of this machine", details=why, remedy="Leave --address out, or see: ip address"
    )


def _pump(source: Stream, target: Stream) -> None:
    """Copy bytes one way until the source ends, then tell the target."""
    with contextlib.suppress(OSError, EOFError):
        while content := source.recv(_CHUNK):
            target.sendall(content)
    with contextlib.suppress(OSError, EOFError):
        target.shutdown(socket.SHUT_WR)
