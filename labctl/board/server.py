"""Serves the pages over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from labctl.board import dashboard
from labctl.board.actions import Actions
from labctl.board.app import application
from labctl.board.desk import Desk
from labctl.door.hall import Hall
from labctl.door.terminals import Terminals
from labctl.errors import InputError, LabctlError, RefusedError
from labctl.lab import classroom
from labctl.lab.classroom import Classroom
from labctl.state import Home, write_atomically

if TYPE_CHECKING:
    from cryptography.x509 import GeneralName
    from starlette.types import ASGIApp

_TYPED = 1024**2  # bytes of one message from a browser
_DAYS = 398  # that browsers accept of a certificate


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Where the pages are.

    Attributes:
        address: of this machine; empty for all.
        port: 0 for one that is free.
        certificate, key: PEM files.
        ssh_port: of the SSH door; None where it is closed.
        dashboards: address and port of the labs' dashboards; None where they are closed.
    """

    address: str
    port: int
    certificate: Path
    key: Path
    ssh_port: int | None
    dashboards: tuple[str, int] | None = None


@contextlib.asynccontextmanager
async def opened(
    home: Home,
    listening: Listening,
    hall: Hall,
    *,
    failed: Callable[[LabctlError], None],
    look: Callable[[Home], Classroom] = classroom.look,
) -> AsyncIterator[int]:
    """Serve the pages while a `with` statement lasts; give the port.

    Args:
        hall: what is behind the doors.
        failed: told what went wrong meanwhile.
        look: sees the classroom once.

    Raises:
        RefusedError: the port is taken.
        InputError: the certificate and the key are none.
    """
    desk = Desk(home, look=look, failed=failed)
    terminals = Terminals(hall, changed=desk.look_again)
    async with contextlib.AsyncExitStack() as servers:
        listener = servers.enter_context(_listener(listening.address, listening.port, "--https"))
        port = int(listener.getsockname()[1])
        dashboards = None
        if listening.dashboards is not None:
            other = servers.enter_context(_listener(*listening.dashboards, "--dashboards"))
            dashboards = int(other.getsockname()[1])
            app = dashboard.application(home, hall.labs, pages=port)
            await servers.enter_async_context(_serving(app, listening, other))
        actions = Actions(home, ssh_port=listening.ssh_port, dashboards=dashboards)
        await servers.enter_async_context(_serving(application(desk, actions, terminals), listening, listener))
        servers.push_async_callback(terminals.close)
        servers.push_async_callback(desk.close)
        watching = asyncio.create_task(desk.watch())
        try:
            yield port
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


@contextlib.asynccontextmanager
async def _serving(app: ASGIApp, listening: Listening, listener: socket.socket) -> AsyncIterator[None]:
    """Serve an application over TLS while a `with` statement lasts."""
    config = uvicorn.Config(
        app,
        ssl_certfile=listening.certificate,
        ssl_keyfile=listening.key,
        access_log=False,  # links have signatures in them
        log_config=None,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws_max_size=_TYPED,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=32 * 1024,
    )
    server = _Server(config)
    try:
        config.load()
    except OSError as exc:  # ssl.SSLError is one
        remedy = "Give PEM files with --certificate and --key, or neither."
        raise InputError("the certificate or its key cannot be read", details=str(exc), remedy=remedy) from exc
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)


def self_made(home: Home, names: tuple[str, ...]) -> Path:
    """Return a file with a key and a certificate that we signed ourselves; it is made once, and again when it is old.

    Args:
        names: host names and addresses that it is for, besides this machine's own.
    """
    path = home.root / "door" / "tls.pem"
    wanted = tuple(dict.fromkeys([*names, socket.gethostname(), "localhost", "127.0.0.1", "::1"]))
    if not path.exists() or not _serves(path.read_bytes(), wanted):
        write_atomically(path, _certificate(wanted))
    return path


class _Server(uvicorn.Server):
    """A server that leaves signals to the command."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listener(wanted: str, port: int, option: str) -> socket.socket:
    address = wanted or ("::" if socket.has_dualstack_ipv6() else "0.0.0.0")  # noqa: S104 - as asked for
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    dual = address == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server((address, port), family=family, backlog=128, dualstack_ipv6=dual)
    except OSError as exc:
        raise RefusedError(
            f"port {port} of {wanted or 'this machine'} cannot be listened on",
            details=str(exc),
            remedy=f"Choose another with {option} [ADDRESS:]PORT.",
        ) from exc


def _certificate(names: tuple[str, ...]) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "labctl classroom")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS - 1))
        .add_extension(x509.SubjectAlternativeName([_general(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode() + made.public_bytes(serialization.Encoding.PEM).decode()


def _serves(pem: bytes, names: tuple[str, ...]) -> bool:
    """Whether a certificate is for all these names, and for another month."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(pem)
        known = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    month = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=30)
    return all(_general(each) in known for each in names) and found.not_valid_after_utc > month


def _general(name: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
