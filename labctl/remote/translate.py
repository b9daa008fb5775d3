"""Translates the exceptions of paramiko and sockets into labctl's errors, at the boundary of this room."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from labctl.errors import DeadlineError, RemoteError


class HostKeyError(RemoteError):
    """The machine that answers does not have the node's host key."""


class LoginError(RemoteError):
    """The node refuses the login."""


@dataclass(frozen=True)
class _Meaning:
    said: str
    remedy: str = ""
    error: type[RemoteError] | type[DeadlineError] = RemoteError


_LOST = _Meaning("the connection was lost", "Run the command again; `labctl status` shows whether the node runs.")
_LATE = _Meaning(
    "no answer in time", "`labctl status` shows whether the node runs; a busy host answers late.", DeadlineError
)
_LOGIN = _Meaning(
    "the login was refused", "Compare the user name and the authorized_keys there with the key.", LoginError
)
_KEY = _Meaning("a key cannot be read", "It must be an OpenSSH key without a passphrase.")
_CONFIG = _Meaning("the SSH configuration cannot be used", "Correct ~/.ssh/config.")
_PROTOCOL = _Meaning("the SSH conversation failed")
_AGREE = _Meaning(
    "no SSH algorithm or host key type in common", "Its sshd must offer the host key that is known.", HostKeyError
)

# By name: paramiko is imported late, and its older releases lack some of them.
MEANINGS: dict[str, _Meaning] = {
    "AuthFailure": _LOGIN,
    "AuthenticationException": _LOGIN,
    "BERException": _KEY,
    "BadAuthenticationType": _LOGIN,
    "BadHostKeyException": _Meaning(
        "its host key differs from the known one", "Find out who answers there.", HostKeyError
    ),
    "ChannelException": _Meaning("the request was refused"),
    "ConnectionRefusedError": _Meaning("nobody listens there"),
    "ConnectionResetError": _LOST,
    "BrokenPipeError": _LOST,
    "ConfigParseError": _CONFIG,
    "CouldNotCanonicalize": _CONFIG,
    "EOFError": _LOST,
    "IncompatiblePeer": _AGREE,
    "InvalidHostKey": _KEY,
    "MessageOrderError": _PROTOCOL,
    "NeedRekeyException": _PROTOCOL,
    "NoValidConnectionsError": _Meaning("nobody answers"),
    "OSError": _Meaning("the network failed"),
    "PartialAuthentication": _LOGIN,
    "PasswordRequiredException": _KEY,
    "PipeTimeout": _LATE,
    "ProxyCommandFailure": _CONFIG,
    "SFTPError": _PROTOCOL,
    "SSHException": _PROTOCOL,
    "TimeoutError": _LATE,
    "UnableToAuthenticate": _LOGIN,
    "UnknownKeyType": _KEY,
    "gaierror": _Meaning("its name is not known", "Correct the name, or add it to ~/.ssh/config or /etc/hosts."),
}


def translated(exc: Exception, name: str) -> RemoteError | DeadlineError | None:
    """Return the error that stands for a foreign exception; None when nothing here explains it.

    Args:
        exc: what paramiko or a socket raised.
        name: the machine that was spoken to.
    """
    meaning = next((MEANINGS[kind.__name__] for kind in type(exc).__mro__ if kind.__name__ in MEANINGS), None)
    if meaning is None:
        return None
    details = str(exc) or type(exc).__name__
    # paramiko says only in words that a channel, a negotiation or a login took too long.
    if "timeout" in details.lower():
        meaning = _LATE
    return meaning.error(f"{name}: {meaning.said}", details=details, remedy=meaning.remedy)


@contextlib.contextmanager
def translating(name: str) -> Iterator[None]:
    """Raise labctl's error in place of whatever paramiko or a socket raises inside.

    Args:
        name: the machine that is spoken to.

    Raises:
        RemoteError: the machine cannot be reached, refused, or was lost.
        DeadlineError: it did not answer in time.
    """
    try:
        yield
    except Exception as exc:
        error = translated(exc, name)
        if error is None:
            raise
        raise error from exc
