"""Waits until a booting node answers by SSH and accepts the login."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Protocol

from labctl.errors import DeadlineError, LabctlError, RemoteError
from labctl.remote.dial import Dialer
from labctl.remote.openssh import HostError
from labctl.remote.ssh import SshTransport
from labctl.remote.stream import Stream
from labctl.remote.translate import HostKeyError, LoginError

_PAUSE = 0.25  # seconds after an attempt that failed at once
_SLICE = 0.5  # seconds between looks at whether we are cancelled
_GREETING = 60.0  # seconds from an accepted connection to sshd's greeting; an emulated node forks slowly
_SETTLING = 30.0  # seconds in which a first boot may still replace the image's host keys and accounts
_LOGIN_PAUSE = 5.0  # seconds between logins: sshd locks out who fails often (PerSourcePenalties, 5 s a failure)
_HANDSHAKE = 120.0  # seconds; 5 for one emulated node, more for many at once


class LogIn(Protocol):
    """Waits until a node lets us in; see `log_in`."""

    def __call__(
        self,
        dialer: Dialer,
        address: str,
        *,
        name: str,
        key: str,
        host_key: str,
        deadline: float,
        cancelled: threading.Event | None = None,
        greeted: Callable[[], object] = lambda: None,
    ) -> SshTransport:
        """Log in to a node as soon as it lets us."""
        ...


def banner(dialer: Dialer, address: str, *, timeout: float, port: int = 22) -> str | None:
    """Return how the sshd at an address greets ("SSH-2.0-OpenSSH_10.0"), None when none does.

    Costs the node a process. sshd counts connections that end without a login (PerSourcePenalties, 1 s each) and locks
    out who makes more than 15 within 15 seconds.

    Args:
        timeout: seconds for everything.

    Raises:
        HostError: the way to the guests is closed.
    """
    deadline = time.monotonic() + timeout
    try:
        stream = dialer.connect(address, port, timeout=timeout)
    except HostError:
        raise
    except (RemoteError, DeadlineError):
        return None
    content = b""
    try:
        while b"\n" not in content and len(content) < 256:
            stream.settimeout(max(deadline - time.monotonic(), 0.001))
            more = stream.recv(256)
            if not more:
                return None
            content += more
    except OSError:
        return None
    finally:
        stream.close()
    line = content.split(b"\n")[0].decode(errors="replace").strip()
    return line if line.startswith("SSH-") else None


def log_in(
    dialer: Dialer,
    address: str,
    *,
    name: str,
    key: str,
    host_key: str,
    deadline: float,
    user: str = "root",
    sudo: bool = False,
    cancelled: threading.Event | None = None,
    greeted: Callable[[], object] = lambda: None,
    port: int = 22,
) -> SshTransport:
    """Log in to a node as soon as it lets us.

    A node that boots for the first time may close connections, or show the image's host keys and accounts for a
    moment before its own: such refusals are taken for final only when they last.

    Args:
        name, key, host_key, user, sudo: see `SshTransport.connect`.
        deadline, cancelled: see `wait_for_ssh`.
        greeted: called when its SSH server answers, before each login.

    Raises:
        DeadlineError: it did not let us in by then.
        HostKeyError: another machine answers.
        LoginError: it refuses the key.
        RemoteError: `cancelled` was set.
        HostError: the way to the guests is closed.
    """
    cancelled = cancelled or threading.Event()
    refused_at: float | None = None
    while True:
        stream = wait_for_ssh(dialer, address, deadline=deadline, cancelled=cancelled, port=port)
        greeted()
        left = min(_HANDSHAKE, max(deadline - time.monotonic(), 0.1))
        try:
            return SshTransport.connect(
                stream, name=name, key=key, host_key=host_key, user=user, sudo=sudo, timeout=left
            )
        except (HostKeyError, LoginError) as exc:
            refused_at = refused_at or time.monotonic()
            if time.monotonic() - refused_at >= _SETTLING:
                raise
            last: LabctlError = exc
        except (RemoteError, DeadlineError) as exc:
            last = exc
        if time.monotonic() + _LOGIN_PAUSE >= deadline:
            raise last
        cancelled.wait(_LOGIN_PAUSE)


def wait_for_ssh(
    dialer: Dialer, address: str, *, deadline: float, cancelled: threading.Event | None = None, port: int = 22
) -> Stream:
    """Wait until sshd greets at an address, and return that connection with the greeting still to be read.

    Args:
        deadline: `time.monotonic()` at which to give up.
        cancelled: ends the wait when set: at once between attempts, within a second during one.

    Raises:
        DeadlineError: it did not greet by then; the details name the last state seen.
        RemoteError: `cancelled` was set.
        HostError: the way to the guests is closed.
    """
    cancelled = cancelled or threading.Event()
    state = "no attempt was made"
    while True:
        if cancelled.is_set():
            raise RemoteError(f"The wait for {address} was interrupted", details=state)
        started = time.monotonic()
        if started >= deadline:
            raise DeadlineError(f"{address} did not answer by SSH in time", details=f"Last state seen: {state}")
        try:
            stream = dialer.connect(address, port, timeout=min(dialer.patience, deadline - started))
        except HostError:
            raise
        except (RemoteError, DeadlineError) as exc:
            state = exc.details or exc.brief
        else:
            complaint = _complaint(stream, min(time.monotonic() + _GREETING, deadline), cancelled)
            if complaint is None:
                return stream
            stream.close()
            state = complaint
        if time.monotonic() - started < min(dialer.patience, _SLICE):
            cancelled.wait(min(_PAUSE, max(deadline - time.monotonic(), 0.0)))


def _complaint(stream: Stream, deadline: float, cancelled: threading.Event) -> str | None:
    """Wait for the greeting without taking it; return what is wrong, None when it is there."""
    while time.monotonic() < deadline and not cancelled.is_set():
        stream.settimeout(min(_SLICE, max(deadline - time.monotonic(), 0.001)))
        try:
            content = stream.recv(4, socket.MSG_PEEK)
        except TimeoutError:
            continue
        except OSError as exc:
            return f"port 22 accepts connections, then fails: {exc}"
        if not content:
            return "port 22 accepts connections and closes them"
        if not b"SSH-".startswith(content):
            return f"port 22 greets with {content!r}, which is not SSH"
        stream.settimeout(None)
        return None
    return "port 22 accepts connections, but sshd does not greet"
