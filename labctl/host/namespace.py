"""Works inside the network namespace of a private host without leaving ours."""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from netaddr import IPNetwork

from labctl.errors import DeadlineError, ProcessError, RemoteError
from labctl.host import kernel
from labctl.host.processes import ProcessId


@dataclass(frozen=True, kw_only=True)
class NetworkNamespace:
    """The network namespace (and mount namespace) of a process.

    Attributes:
        process: any process in it that lives as long as the namespace is wanted: process 1 of a private host.
    """

    process: ProcessId

    @classmethod
    def of(cls, pid: int) -> NetworkNamespace:
        """Return the namespace of a running process; ProcessError when there is none of that number."""
        process = ProcessId.of(pid)
        if process is None:
            raise ProcessError(f"There is no process {pid}")
        return cls(process=process)

    def open(self, kind: str = "net") -> int:
        """Return a descriptor on the namespace of that kind (net, mnt).

        Raises:
            ProcessError: the process is gone, whoever has its number now.
        """
        try:
            descriptor = os.open(f"/proc/{self.process.pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as exc:
            raise self._gone() from exc
        if self.process.alive:  # after the opening: so it was this process whose namespace we hold
            return descriptor
        os.close(descriptor)
        raise self._gone()

    def _gone(self) -> ProcessError:
        return ProcessError(
            f"The private host of process {self.process.pid} is gone", remedy="labctl host up starts it again."
        )


class Place(Protocol):
    """A network namespace that can be entered, whoever keeps it."""

    def open(self) -> int:
        """Return a descriptor on it, which the caller closes.

        Raises:
            ProcessError: it is gone.
        """
        ...


def connect(namespace: Place | None, address: str, port: int, *, timeout: float) -> socket.socket:
    """Open a TCP connection from inside a network namespace.

    A socket stays in the namespace in which it was made, so only its making needs a thread in there.

    Args:
        namespace: where from; None means our own.
        address: IPv4 or IPv6 address, no name.
        port: TCP port.
        timeout: seconds for the connection to come up; the socket returned has no timeout.

    Raises:
        ProcessError: the namespace is gone or may not be entered.
        RemoteError: nobody listens there, or the address cannot be reached.
        DeadlineError: nobody answered in time.
    """
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM) if namespace is None else _socket_in(namespace, family)
    try:
        made.settimeout(timeout)
        made.connect((address, port))
        made.settimeout(None)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as exc:
        made.close()
        kind = DeadlineError if isinstance(exc, TimeoutError) else RemoteError
        raise kind(f"{address} does not answer on port {port}", details=str(exc)) from exc
    return made


def routes(namespace: NetworkNamespace | None = None) -> list[IPNetwork]:
    """Return the destinations that the namespace (ours when None) has routes to, default routes excepted.

    Read from /proc/PID/net: the main IPv4 table in hexadecimal, least significant byte first, and IPv6 likewise but
    in reading order; loopback and multicast are left out.
    """
    if namespace is not None:
        os.close(namespace.open())  # raises when it is gone
    folder = Path(f"/proc/{namespace.process.pid if namespace else 'self'}/net")
    found = [_ipv4_route(line) for line in _lines(folder / "route")[1:]]
    found += [_ipv6_route(line) for line in _lines(folder / "ipv6_route")]
    return sorted({network for network in found if network is not None and network.prefixlen})


def wrap(namespace: NetworkNamespace | None, argv: Sequence[str], *, files: bool = False) -> list[str]:
    """Return the command line that runs `argv` inside the namespace.

    Args:
        namespace: where; None means here, and changes nothing.
        argv: program and arguments.
        files: see the private host's files too, not only its network.
    """
    if namespace is None:
        return list(argv)
    os.close(namespace.open())  # raises when it is gone
    kinds = ["--net", "--mount"] if files else ["--net"]
    return ["nsenter", "--target", str(namespace.process.pid), *kinds, "--", *argv]


def _socket_in(namespace: Place, family: socket.AddressFamily) -> socket.socket:
    """Make the socket in a thread of its own that ends afterwards, so that no thread stays in a foreign namespace."""
    descriptor = namespace.open()
    made: list[socket.socket] = []
    failed: list[OSError] = []

    def make() -> None:
        try:
            kernel.setns(descriptor, kernel.NEW_NET)
            made.append(socket.socket(family, socket.SOCK_STREAM))
        except OSError as exc:
            failed.append(exc)

    try:
        thread = threading.Thread(target=make, name="labctl-setns")
        thread.start()
        thread.join()
    finally:
        os.close(descriptor)
    if failed:
        raise ProcessError(
            "The private host's network cannot be entered", details=str(failed[0]), remedy="Run labctl as root."
        ) from failed[0]
    return made[0]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:  # a kernel without IPv6
        return []


def _ipv4_route(line: str) -> IPNetwork | None:
    fields = line.split()
    address = ipaddress.IPv4Address(bytes.fromhex(fields[1])[::-1])
    mask = ipaddress.IPv4Address(bytes.fromhex(fields[7])[::-1])
    return IPNetwork(f"{address}/{mask}")


def _ipv6_route(line: str) -> IPNetwork | None:
    fields = line.split()
    address, prefix, device = ipaddress.IPv6Address(bytes.fromhex(fields[0])), int(fields[1], 16), fields[9]
    if device == "lo" or address.is_multicast or address.is_link_local:
        return None
    return IPNetwork(f"{address}/{prefix}")
