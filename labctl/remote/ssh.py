"""Runs commands and moves files over one kept SSH connection."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

from labctl import quoting
from labctl.errors import DeadlineError, RemoteError
from labctl.guest import Command, File, Result, files, put_script, shell_line, shortened
from labctl.remote.conversation import Conversation, Interrupted
from labctl.remote.keys import fingerprint, parse_public
from labctl.remote.stream import KEEPALIVE, LOG, ChannelStream, Stream, tune
from labctl.remote.translate import HostKeyError, translating

if TYPE_CHECKING:
    from types import TracebackType

    import paramiko

# Cheapest first, measured with a sshd under emulation: a handshake takes 0.28 s with P-256 and 0.30 s with Curve25519,
# for which OpenSSH has no assembly; 4 MB take 0.22 s with AES-GCM and 0.38 s with AES-CTR and a SHA-256 MAC.
_KEX = ("ecdh-sha2-nistp256", "curve25519-sha256@libssh.org", "curve25519-sha256", "diffie-hellman-group14-sha256")
_CIPHERS = ("aes128-gcm@openssh.com", "aes128-ctr", "aes256-gcm@openssh.com", "aes256-ctr")
_MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-512")

_REFUSED = 30.0  # seconds to ask again for a session that is refused
_REFUSED_PAUSE = 0.2  # seconds in between
_CHANNELS = 8  # sshd's MaxSessions is 10; two stay for people
_WAKE = 0.5  # seconds between looks of an idle connection's thread; paramiko's own 0.1 costs five times as much
_LINGER = 10.0  # seconds that a connection may take to accept the closing of a channel


class SshTransport:
    """A node reached by SSH; every command has a channel of its own on the same connection.

    Attributes:
        name: what messages call the node.
    """

    def __init__(self, name: str, connection: paramiko.Transport, *, sudo: bool = False) -> None:
        self.name = name
        self._connection = connection
        self._sudo = sudo
        self._room = threading.BoundedSemaphore(_CHANNELS)

    @classmethod
    def connect(
        cls,
        stream: Stream,
        *,
        name: str,
        key: str,
        host_key: str,
        user: str = "root",
        sudo: bool = False,
        timeout: float = 60.0,
    ) -> SshTransport:
        """Log in over an open connection, which belongs to the transport from here on, also when this fails.

        Args:
            stream: a connection to the node's sshd, from a dialer.
            name: what messages call the node.
            key: our private key, OpenSSH PEM without passphrase; no other key and no agent is tried.
            host_key: the node's public key line; any other is refused.
            user: who to log in as.
            sudo: whether commands and files need sudo, because `user` is not root.
            timeout: seconds for the whole handshake; an emulated node needs five, several at once more.

        Raises:
            RemoteError: another host key, a refused login, or a lost connection.
            DeadlineError: it took too long.
        """
        import paramiko

        tune(stream)
        deadline = time.monotonic() + timeout
        with contextlib.ExitStack() as undo:
            undo.callback(stream.close)
            try:
                with translating(name):
                    ours = _private_key(key)
                    connection = paramiko.Transport(cast("socket.socket", stream))
                    undo.callback(_end, connection)
                    _prepare(connection, host_key, timeout)
                    stream.settimeout(_WAKE)
                    connection.start_client(timeout=timeout)
                    _check_host_key(name, connection, host_key)
                    connection.auth_timeout = max(deadline - time.monotonic(), 0.1)
                    if connection.auth_publickey(user, ours):
                        raise RemoteError(f"{name}: the node requires more than the key of {user}")
            except RemoteError as exc:
                if time.monotonic() < deadline:
                    raise
                # paramiko calls some of its timeouts a closed session.
                raise DeadlineError(
                    f"{name}: SSH was not ready within {timeout:.0f} s", details=exc.details, remedy=exc.remedy
                ) from exc
            connection.set_keepalive(KEEPALIVE)
            undo.pop_all()
        return cls(name, connection, sudo=sudo)

    @property
    def alive(self) -> bool:
        """Whether the connection still stands, as far as anybody noticed."""
        return self._connection.is_active()

    def run(
        self,
        command: Command,
        *,
        timeout: float,
        stdin: bytes | None = None,
        check: bool = True,
        on_output: Callable[[str], None] | None = None,
        cancelled: threading.Event | None = None,
    ) -> Result:
        """Run a command to its end; see `Transport.run`.

        A command that exceeds its time limit keeps running in the node, without connection.
        """
        code, said, complained = self._execute(command, timeout, stdin, on_output, cancelled)
        result = Result(exit_code=code, stdout=_text(said), stderr=_text(complained))
        if check and code:
            raise _failed(self.name, command, result)
        return result

    def put(
        self,
        content: bytes,
        path: str,
        *,
        mode: int = 0o644,
        owner: str | None = None,
        mtime: int | None = None,
        timeout: float = 120.0,
    ) -> None:
        """Write a file in one step; see `Guest.put`."""
        script = put_script(path, size=len(content), mode=mode, owner=owner, mtime=mtime)
        code, _, complained = self._execute(script, timeout, content)
        if code:
            raise RemoteError(f"{self.name}: {path} cannot be written", details=_text(complained).strip())

    def read(self, path: str, *, timeout: float = 120.0) -> bytes:
        """Return the content of a file; see `Guest.read`."""
        code, content, complained = self._execute(["cat", "--", path], timeout)
        if code:
            raise RemoteError(f"{self.name}: {path} cannot be read", details=_text(complained).strip())
        return content

    def look(self, path: str, *, timeout: float = 120.0) -> File | None:
        """Return what is at a path; see `Guest.look`."""
        return files.look(self, path, timeout=timeout)

    def forward(self, host: str, port: int, *, timeout: float = 30.0) -> Stream:
        """Return a connection to a port as seen from the node; see `Transport.forward`."""
        with translating(f"{self.name} to {host} port {port}"):
            channel = self._connection.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=timeout)
        return ChannelStream(channel)

    def close(self) -> None:
        """End the connection and whatever runs over it; safe from any thread and more than once."""
        _end(self._connection)

    def __enter__(self) -> SshTransport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _execute(
        self,
        command: Command,
        timeout: float,
        stdin: bytes | None = None,
        on_output: Callable[[str], None] | None = None,
        cancelled: threading.Event | None = None,
    ) -> tuple[int, bytes, bytes]:
        deadline = time.monotonic() + timeout
        line = shell_line(command)
        with self._channel(timeout) as channel, self._giving_up(channel, deadline):
            conversation = Conversation(self.name, channel, stdin or b"", on_output)
            try:
                with translating(self.name):
                    channel.exec_command(f"sudo -n sh -c {quoting.shell(line)}" if self._sudo else line)
                code = conversation.hold(deadline, cancelled)
            except (RemoteError, DeadlineError) as exc:
                if isinstance(exc, Interrupted):
                    raise RemoteError(f"{self.name}: {shortened(command)} was interrupted") from exc
                if isinstance(exc, RemoteError) and time.monotonic() < deadline:
                    raise
                raise self._late(command, timeout, conversation) from exc
            if code is None and time.monotonic() >= deadline:
                raise self._late(command, timeout, conversation)
            if code is None and self._is_lost():
                raise RemoteError(
                    f"{self.name}: the connection was lost during {shortened(command)}", details=conversation.tail()
                )
            # OpenSSH reports no exit code for a command that a signal ended.
            return -1 if code is None else code, bytes(conversation.said), bytes(conversation.complained)

    def _is_lost(self) -> bool:
        self._connection.join(0.5)  # a channel notices a moment before the connection does
        return not self.alive

    def _late(self, command: Command, timeout: float, conversation: Conversation) -> DeadlineError:
        return DeadlineError(
            f"{self.name}: {shortened(command)} did not end within {timeout:.0f} s", details=conversation.tail()
        )

    @contextlib.contextmanager
    def _giving_up(self, channel: paramiko.Channel, deadline: float) -> Iterator[None]:
        """Close the channel at the deadline, and the connection if that hangs: some waits of paramiko never end."""

        def give_up() -> None:
            last_resort = threading.Timer(_LINGER, self.close)
            last_resort.daemon = True
            last_resort.start()
            with contextlib.suppress(OSError, EOFError):
                channel.close()
            last_resort.cancel()

        late = threading.Timer(max(deadline - time.monotonic(), 0.0), give_up)
        late.daemon = True
        late.start()
        try:
            yield
        finally:
            late.cancel()

    @contextlib.contextmanager
    def _channel(self, timeout: float) -> Iterator[paramiko.Channel]:
        deadline = time.monotonic() + timeout
        if not self._room.acquire(timeout=timeout):
            raise DeadlineError(f"{self.name}: {_CHANNELS} commands run already", details=f"waited {timeout:.0f} s")
        try:
            channel = self._session(deadline)
            try:
                yield channel
            finally:
                with contextlib.suppress(OSError, EOFError):
                    channel.close()
        finally:
            self._room.release()

    def _session(self, deadline: float) -> paramiko.Channel:
        """Open a session; sshd refuses while commands that were given up still run and fill its MaxSessions."""
        import paramiko

        patience = min(deadline, time.monotonic() + _REFUSED)
        with translating(self.name):
            while True:
                try:
                    return self._connection.open_session(timeout=max(deadline - time.monotonic(), 0.1))
                except paramiko.SSHException:  # of any kind: threads that are refused together get each other's
                    if not self.alive or time.monotonic() + _REFUSED_PAUSE >= patience:
                        raise
                time.sleep(_REFUSED_PAUSE)


def _prepare(connection: paramiko.Transport, host_key: str, timeout: float) -> None:
    connection.banner_timeout = connection.handshake_timeout = timeout
    connection.set_log_channel(LOG)
    options = connection.get_security_options()
    options.kex = _cheapest(_KEX, options.kex)
    options.ciphers = _cheapest(_CIPHERS, options.ciphers)
    options.digests = _cheapest(_MACS, options.digests)
    kind, _ = parse_public(host_key)
    options.key_types = ("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,)


def _cheapest(wanted: tuple[str, ...], known: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in wanted if name in known)


def _check_host_key(name: str, connection: paramiko.Transport, host_key: str) -> None:
    given = connection.get_remote_server_key()
    got = f"{given.get_name()} {given.get_base64()}"
    if given.asbytes() != parse_public(host_key)[1]:
        raise HostKeyError(
            f"{name}: another machine answers: its host key is not this node's",
            details=f"expected {fingerprint(host_key)}\ngot      {fingerprint(got)}",
            remedy="Nothing was sent to it. If the node was made by hand since, `labctl reset` gives it its key again.",
        )


def _private_key(text: str) -> paramiko.PKey:
    import paramiko

    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        with contextlib.suppress(paramiko.SSHException, ValueError):
            return kind.from_private_key(io.StringIO(text))
    raise RemoteError("The lab's private key cannot be read", remedy="It must be an OpenSSH key without a passphrase.")


def _end(connection: paramiko.Transport) -> None:
    """Close a connection at once: paramiko's thread would notice only when its read times out."""
    stream = cast("Stream", connection.sock)
    with contextlib.suppress(OSError, EOFError):
        stream.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError, EOFError):
        connection.close()
    with contextlib.suppress(OSError, EOFError):
        stream.close()


def _text(content: bytes) -> str:
    return content.decode(errors="replace")


def _failed(name: str, command: Command, result: Result) -> RemoteError:
    how = "was ended by a signal" if result.exit_code < 0 else f"failed with exit code {result.exit_code}"
    return RemoteError(f"{name}: {shortened(command)} {how}", details=result.tail())
