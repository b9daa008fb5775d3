"""Keeps one OpenSSH connection to the organiser's own server, and carries others over it.

OpenSSH itself logs in, so the user's whole configuration applies: Include, Match, certificates, agents, hardware keys,
jumps. Its ControlMaster then opens TCP connections from the server without another login; the few messages that ask for
one are described in OpenSSH's PROTOCOL.mux.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from labctl import quoting, waiting
from labctl.errors import DeadlineError, LabctlError, RemoteError
from labctl.process import Resident, execute
from labctl.remote.stream import KEEPALIVE, Stream

_HELLO, _STDIO_FORWARD = 0x00000001, 0x10000008
_OPENED, _FAILURE = 0x80000006, 0x80000003
_VERSION = 4
_LONGEST = 256 * 1024  # bytes of a message; the longest that a client accepts
_PAUSE = 0.02  # seconds between looks for the control socket

# What the configuration says about people's sessions must not happen in ours. The agent stays here: its keys sign the
# login, and no session is opened that could hand it on.
_QUIET = {
    "IgnoreUnknown": "ForkAfterAuthentication",  # OpenSSH 8.7
    "BatchMode": "yes",
    "ClearAllForwardings": "yes",
    "ControlPersist": "no",
    "ForkAfterAuthentication": "no",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "ServerAliveInterval": str(KEEPALIVE),
    "ServerAliveCountMax": "3",
    "Tunnel": "no",
}


class HostError(RemoteError):
    """The host cannot be reached, so none of its guests can be reached."""


class Server:
    """The organiser's server, as `ssh` reaches it. One connection is opened when it is first needed, and kept.

    Args:
        host: name as typed, perhaps an alias of the configuration.
        user: who to log in as; None for what the configuration says.
        port: likewise.
        config: the configuration's file; the user's and the system's when None.
        options: more of the configuration's options, by name.
    """

    def __init__(
        self,
        host: str,
        *,
        user: str | None = None,
        port: int | None = None,
        config: Path | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.host = host
        self._options = {**_QUIET, **(options or {})}
        self._user = user
        self._port = port
        self._config = config
        self._lock = threading.Lock()
        self._master: Resident | None = None
        self._folder: Path | None = None
        self._controls: list[socket.socket] = []

    def proxy_command(self) -> str:
        """Return the value of OpenSSH's ProxyCommand that leads through the server.

        Unlike ProxyJump, it leaves the connection beyond the server to a configuration of its own.
        """
        before, host = [word.replace("%", "%%") for word in self._ssh()], self.host.replace("%", "%%")
        return quoting.shell_line([*before, "-W", "[%h]:%p", "--", host])

    def connect(self, address: str, port: int, *, timeout: float) -> Stream:
        """Open a TCP connection from the server.

        Raises:
            HostError: the server cannot be reached.
            RemoteError: nobody answers at the address.
            DeadlineError: nor did anybody refuse within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        what = f"{address} port {port} by way of {self.host}"
        control = self._control()
        ours: list[socket.socket] = []
        try:
            try:
                ours = _forward(control, address, port, deadline)
            except TimeoutError as exc:
                raise DeadlineError(f"{what}: no answer in time", details=f"waited {timeout:.0f} s") from exc
            except (OSError, struct.error) as exc:
                raise RemoteError(f"{what}: the connection was lost", details=str(exc)) from exc
            except _RefusedError as exc:
                raise RemoteError(f"{what}: nobody answers", details=str(exc)) from exc
        except BaseException:
            for each in (control, *ours):
                each.close()
            raise
        with self._lock:
            # The master ends a connection with its control; it closes the control when the connection has ended.
            self._controls = [*(each for each in self._controls if not _ended(each)), control]
        return _Duplex(*ours)

    def run(self, command: str, *, timeout: float) -> str:
        """Run a shell line on the server and return what it printed.

        Raises:
            HostError: the server cannot be reached.
            RemoteError: the command failed.
            DeadlineError: it did not end in time.
        """
        with self._control() as control:
            path = control.getpeername()
        argv = [*self._ssh(), "-oControlMaster=no", "-S", path, "--", self.host, command]
        try:
            code, said, complained = execute(argv, timeout=timeout)
        except LabctlError as exc:
            raise DeadlineError(f"{self.host}: {exc.brief}", details=exc.details) from exc
        text = complained.decode(errors="replace")
        if code == _SSH_FAILED:
            raise self._unreachable(text)
        if code:
            raise RemoteError(f"{self.host}: a command failed with exit code {code}", details=f"$ {command}\n{text}")
        return said.decode(errors="replace")

    def close(self) -> None:
        """End the connection to the server, and with it every connection over it; safe more than once."""
        with self._lock:
            self._drop()

    def _ssh(self) -> list[str]:
        argv = ["ssh", *(f"-o{key}={value}" for key, value in self._options.items())]
        argv += ["-F", str(self._config)] if self._config else []
        argv += ["-l", self._user] if self._user else []
        return argv + (["-p", str(self._port)] if self._port else [])

    def _control(self) -> socket.socket:
        """Return a control connection to a master whose connection stands, as far as anybody noticed."""
        with self._lock:
            if self._master is not None and self._master.alive and self._folder is not None:
                with contextlib.suppress(OSError):  # it ends just now
                    return _connected(self._folder / _SOCKET)
            self._drop()
            try:
                return _connected(self._open())
            except OSError as exc:
                self._drop()
                raise self._unreachable(str(exc)) from exc
            except BaseException:
                self._drop()
                raise

    def _open(self) -> Path:
        # A socket's path may have 107 bytes, and OpenSSH adds 17 while it makes it: not below TMPDIR.
        self._folder = Path(tempfile.mkdtemp(prefix="labctl-", dir="/tmp"))
        path = self._folder / _SOCKET
        options = ["-N", "-M", f"-oControlPath={path}", f"-oConnectTimeout={HOST_TIMEOUT:.0f}"]
        self._master = Resident([*self._ssh(), *options, "--", self.host])
        master = self._master

        def let_in() -> bool:
            if not master.alive:
                raise self._unreachable(master.complaints)
            return path.exists()

        if not waiting.until(let_in, seconds=HOST_TIMEOUT, pause=_PAUSE):
            raise self._unreachable(f"It did not let us in within {HOST_TIMEOUT:.0f} s.\n{master.complaints}")
        return path

    def _drop(self) -> None:
        for control in self._controls:
            control.close()
        self._controls = []
        if self._master is not None:
            self._master.stop()
            self._master = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _unreachable(self, details: str) -> HostError:
        target = f"{self._user}@{self.host}" if self._user else self.host
        port = f" -p {self._port}" if self._port else ""
        return HostError(
            f"{self.host} cannot be reached by SSH",
            details=details.strip(),
            remedy=f"`ssh{port} {target}` must work without a question; try it first.",
        )


HOST_TIMEOUT = 30.0
"""Seconds for the organiser's own server to answer."""

_SSH_FAILED = 255
_SOCKET = "control"


class _RefusedError(Exception):
    """The master could not open the connection."""


class _Duplex:
    """One connection of two sockets, one for each direction: the master cannot close a half of one."""

    def __init__(self, reading: socket.socket, writing: socket.socket) -> None:
        self._reading = reading
        self._writing = writing

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        return self._reading.recv(size, flags)

    def send(self, content: bytes, /) -> int:
        return self._writing.send(content)

    def sendall(self, content: bytes, /) -> None:
        self._writing.sendall(content)

    def settimeout(self, seconds: float | None, /) -> None:
        self._reading.settimeout(seconds)
        self._writing.settimeout(seconds)

    def shutdown(self, how: int, /) -> None:
        if how in (socket.SHUT_WR, socket.SHUT_RDWR):
            self._writing.shutdown(socket.SHUT_WR)
        if how in (socket.SHUT_RD, socket.SHUT_RDWR):
            self._reading.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        self._reading.close()
        self._writing.close()

    @property
    def _closed(self) -> bool:  # paramiko asks the socket under a connection for this when it ends one
        return self._reading.fileno() < 0


def _connected(path: Path) -> socket.socket:
    control = socket.socket(socket.AF_UNIX)
    try:
        control.settimeout(HOST_TIMEOUT)
        control.connect(str(path))
    except BaseException:
        control.close()
        raise
    return control


def _forward(control: socket.socket, address: str, port: int, deadline: float) -> list[socket.socket]:
    """Have the master open a connection; return our ends of it, the one to read from first.

    Raises:
        _RefusedError: it could not.
        OSError: the master is gone; TimeoutError at the deadline.
    """
    (read, their_output), (write, their_input) = socket.socketpair(), socket.socketpair()
    try:
        with their_input, their_output:
            _send(control, struct.pack(">II", _HELLO, _VERSION))
            kind, _ = _receive(control, deadline)
            if kind != _HELLO:
                raise _RefusedError(f"OpenSSH greets with message {kind:#x}")
            request = struct.pack(">III", _STDIO_FORWARD, 0, 0) + _text(address) + struct.pack(">I", port)
            _send(control, request)
            for theirs in (their_input, their_output):
                socket.send_fds(control, [b"\0"], [theirs.fileno()])
            kind, body = _receive(control, deadline)
        if kind != _OPENED:
            reason = body[8:].decode(errors="replace") if kind == _FAILURE else f"message {kind:#x}"
            raise _RefusedError(reason or "refused")
    except BaseException:
        read.close()
        write.close()
        raise
    return [read, write]


def _send(control: socket.socket, body: bytes) -> None:
    control.sendall(struct.pack(">I", len(body)) + body)


def _receive(control: socket.socket, deadline: float) -> tuple[int, bytes]:
    (length,) = struct.unpack(">I", _exactly(control, 4, deadline))
    if not 4 <= length <= _LONGEST:
        raise _RefusedError(f"OpenSSH sends a message of {length} bytes")
    content = _exactly(control, length, deadline)
    return struct.unpack(">I", content[:4])[0], content[4:]


def _exactly(control: socket.socket, size: int, deadline: float) -> bytes:
    content = b""
    while len(content) < size:
        control.settimeout(max(deadline - time.monotonic(), 0.001))
        more = control.recv(size - len(content))
        if not more:
            raise ConnectionResetError("OpenSSH closed its control socket")
        content += more
    return content


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack(">I", len(encoded)) + encoded


def _ended(control: socket.socket) -> bool:
    """Whether the master has closed a control; close our end then."""
    try:
        ended = not control.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        ended = True
    if ended:
        control.close()
    return ended
