"""No exception of paramiko or of a socket leaves the remote room as it is."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import socket
from collections.abc import Iterator

import paramiko
import pytest

from labctl.errors import DeadlineError, LabctlError, RemoteError
from labctl.remote.translate import MEANINGS, HostKeyError, LoginError, translated, translating


def _modules() -> Iterator[str]:
    windows = {"_winapi", "win_openssh", "win_pageant"}
    return (f"paramiko.{found.name}" for found in pkgutil.iter_modules(paramiko.__path__) if found.name not in windows)


def _exception_classes() -> set[type[BaseException]]:
    classes = (kind for name in _modules() for _, kind in inspect.getmembers(importlib.import_module(name)))
    return {
        kind
        for kind in classes
        if inspect.isclass(kind) and issubclass(kind, BaseException) and kind.__module__.startswith("paramiko")
    }


def test_every_exception_class_of_paramiko_is_mapped() -> None:
    found = {kind.__name__ for kind in _exception_classes()}
    assert len(found) > 15
    assert found <= MEANINGS.keys()


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (paramiko.AuthenticationException("Authentication failed."), LoginError),
        (paramiko.AuthenticationException("Authentication timeout."), DeadlineError),
        (paramiko.BadAuthenticationType("no", ["password"]), LoginError),
        (paramiko.ChannelException(2, "Connect failed"), RemoteError),
        (paramiko.SSHException("Timeout opening channel."), DeadlineError),
        (paramiko.IncompatiblePeer("no acceptable host key"), HostKeyError),
        (EOFError(), RemoteError),
        (TimeoutError("timed out"), DeadlineError),
        (ConnectionResetError(104, "Connection reset by peer"), RemoteError),
        (socket.gaierror(-2, "Name or service not known"), RemoteError),
        (OSError(113, "No route to host"), RemoteError),
    ],
)
def test_the_error_tells_the_node_and_the_cause(raised: Exception, expected: type[LabctlError]) -> None:
    with pytest.raises(expected) as caught, translating("team01-db-node"):
        raise raised
    assert caught.value.brief.startswith("team01-db-node: ")
    assert caught.value.details
    assert caught.value.__cause__ is raised


def test_our_own_errors_and_mistakes_pass_unchanged() -> None:
    for own in (RemoteError("own"), KeyError("mistake")):
        assert translated(own, "node") is None
        with pytest.raises(type(own)) as caught, translating("node"):
            raise own
        assert caught.value is own
