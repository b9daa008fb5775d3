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

from labctl.board.actions import Actions
from labctl.board.app import application
from labctl.board.desk import Desk
from labctl.errors import InputError, LabctlError, RefusedError
from labctl.lab import classroom
from labctl.lab.classroom import Classroom
from labctl.state import Home, write_atomically

if TYPE_CHECKING:
    from cryptography.x509 import GeneralName

_DAYS = 398  # that browsers accept of a certificate


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Where the pages are.

    Attributes:
        address: of this machine; empty for all.
        port: 0 for one that is free.
        certificate, key: PEM files.
        ssh_port: of the SSH door; None where it is closed.
    """

    address: str
    port: int
    certificate: Path
    key: Path
    ssh_port: int | None


@contextlib.asynccontextmanager
async def opened(
    home: Home,
    listening: Listening,
    *,
    failed: Callable[[LabctlError], None],
    look: Callable[[Home], Classroom] = classroom.look,
) -> AsyncIterator[int]:
    """Serve the pages while a `with` statement lasts; give the port.

    Args:
        failed: told what went wrong meanwhile.
        look: sees the classroom once.

    Raises:
        RefusedError: the port is taken.
        InputError: the certificate and the key are none.
    """
    desk = Desk(home, look=look, failed=failed)
    listener = _listener(listening)
    config = uvicorn.Config(
        application(desk, Actions(home, ssh_port=listening.ssh_port)),
        ssl_certfile=listening.certificate,
        ssl_keyfile=listening.key,
        access_log=False,  # links have signatures in them
        log_config=None,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=32 * 1024,
    )
    server = _Server(config)
    try:
        config.load()
    except OSError as exc:  # ssl.SSLError is one
        listener.close()
        remedy = "Give PEM files with --certificate and --key, or neither."
        raise InputError("the certificate or its key cannot be read", details=str(exc), remedy=remedy) from exc
    watching = asyncio.create_task(desk.watch())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await desk.close()
        watching.cancel()
        await asyncio.gather(watching, serving, return_exceptions=True)


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


def _listener(listening: Listening) -> socket.socket:
    address = listening.address or ("::" if socket.has_dualstack_ipv6() else "0.0.0.0")  # noqa: S104 - as asked for
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    dual = address == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server((address, listening.port), family=family, backlog=128, dualstack_ipv6=dual)
    except OSError as exc:
        raise RefusedError(
            f"port {listening.port} of {listening.address or 'this machine'} cannot be listened on",
            details=str(exc),
            remedy="Choose another with --https [ADDRESS:]PORT.",
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
