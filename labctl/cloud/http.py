"""HTTP into a lab from labctl's own process: `requests`, and all that is built on it, over the lab's dialer.

No proxy, no variable of the environment, nothing installed in a node. URLs keep the names and addresses of the lab:
http://api-node.example.org:8774 and http://10.0.0.6:8774 are this lab's, however many labs have the same ones.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from labctl.errors import DeadlineError, InputError, LabctlError

try:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
except ImportError as exc:
    raise InputError(
        "speaking to a lab's cloud needs openstacksdk", details=str(exc), remedy="pip install 'labctl-openstack[cloud]'"
    ) from exc

_CONNECT_SECONDS = 30.0  # where the caller sets no time limit; none at all would wait for ever

_PATIENCE: ContextVar[tuple[float, threading.Event] | None] = ContextVar("patience", default=None)


class Dialer(Protocol):
    """The way into a lab."""

    def open(self, name: str, port: int, *, timeout: float) -> socket.socket:
        """Open a TCP connection to a port of the lab, by name or address."""
        ...

    def address(self, name: str) -> str:
        """Return the address that a name of the lab stands for."""
        ...


def session(dialer: Dialer) -> requests.Session:
    """Return a session whose every connection goes into the lab.

    Proxies, passwords and certificates of the environment do not count: they are about other networks.
    """
    made = requests.Session()
    made.trust_env = False
    adapter = LabAdapter(dialer)
    made.mount("http://", adapter)
    made.mount("https://", adapter)
    return made


@contextmanager
def patience(seconds: float, cancelled: threading.Event) -> Iterator[None]:
    """Within, requests of this thread wait so many seconds at most for an answer, whatever their session allows.

    Args:
        cancelled: once it is set, no request is sent: the SDKs send another one where one was lost.
    """
    before = _PATIENCE.set((seconds, cancelled))
    try:
        yield
    finally:
        _PATIENCE.reset(before)


class LabAdapter(HTTPAdapter):
    """Opens the connections of a `requests` session by a lab's dialer.

    What the dialer raises arrives as the session's own exceptions: ConnectTimeout and ConnectionError.
    """

    def __init__(self, dialer: Dialer, **options: Any) -> None:
        self._dialer = dialer
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools, with connections of our own."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self._dialer)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send a request; see `patience`."""
        if (found := _PATIENCE.get()) is not None:
            seconds, cancelled = found
            if cancelled.is_set():
                raise requests.ConnectionError("interrupted", request=request)
            given = options.get("timeout")
            connect, read = given if isinstance(given, tuple) else (given, given)
            options["timeout"] = connect, min(seconds, read or seconds)
        return super().send(request, *args, **options)


def _pools(dialer: Dialer) -> dict[str, Any]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _dial(dialer, self)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _dial(dialer, self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _dial(dialer: Dialer, connection: HTTPConnection) -> socket.socket:
    timeout = connection.timeout if isinstance(connection.timeout, (int, float)) else _CONNECT_SECONDS
    try:
        opened = dialer.open(connection.host, connection.port, timeout=timeout)
    except DeadlineError as exc:
        raise ConnectTimeoutError(connection, f"{exc.brief}: {exc.details}") from exc
    except LabctlError as exc:
        raise NewConnectionError(connection, f"{exc.brief}: {exc.details}") from exc
    opened.settimeout(timeout)
    return opened
