"""Opens sockets in a lab's networks, by the names and addresses that its nodes know, from wherever labctl runs."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from labctl.errors import DeadlineError, InputError, LabctlError, RemoteError
from labctl.host import namespace
from labctl.host.plugged import Plugged
from labctl.remote.forward import as_socket
from labctl.remote.ssh import SshTransport
from labctl.remote.stream import Stream, tune

if TYPE_CHECKING:
    from netaddr import IPNetwork


_LOGIN_SECONDS = 120.0  # half of it for the first node, half of the rest for each next
_LEAST_LOGIN_SECONDS = 10.0


class Way(Protocol):
    """A way into networks of a lab."""

    def connect(self, address: str, port: int, *, timeout: float) -> Stream:
        """Open a TCP connection.

        Raises:
            RemoteError: nobody listens there, or the way is closed.
            DeadlineError: nobody answered within `timeout` seconds.
        """
        ...


class LabDialer:
    """The one way into a lab for programs: checks, forwards, clients of its cloud. Safe to use from many threads.

    Args:
        lab: what messages call it.
        names: the lab's names and their addresses.
        ways: network to the way that leads there; the first that has an address counts.
    """

    def __init__(self, lab: str, *, names: Mapping[str, str], ways: Sequence[tuple[IPNetwork, Way]]) -> None:
        self._lab = lab
        self._names = dict(names)
        self._ways = tuple(ways)
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock = threading.Lock()

    def address(self, name: str) -> str:
        """Return the address that a name of the lab stands for; an address stands for itself.

        Raises:
            InputError: the lab does not know the name.
        """
        from netaddr import AddrFormatError, IPAddress

        if name in self._names:
            return self._names[name]
        with contextlib.suppress(AddrFormatError, ValueError):
            return str(IPAddress(name))
        raise InputError(f"{self._lab} has no node {name}", details=f"Its names are {', '.join(sorted(self._names))}.")

    def open(self, name: str, port: int, *, timeout: float = 30.0) -> socket.socket:
        """Open a TCP connection to a port of the lab.

        Args:
            name: a name of the lab (api-node, api-node.example.org) or an address in one of its networks.
            timeout: seconds; the socket that is returned has none.

        Raises:
            InputError: the lab does not know the name, or has no such network.
            RemoteError: nobody listens there, or the lab cannot be reached.
            DeadlineError: nobody answered in time.
        """
        address = self.address(name)
        for network, way in self._ways:
            if address in network:
                opened = as_socket(way.connect(address, port, timeout=timeout))
                with self._lock:
                    self._open.add(opened)
                return opened
        raise InputError(
            f"{address} is in no network of {self._lab} that can be reached",
            details=f"These can: {', '.join(str(network) for network, _ in self._ways)}.",
        )

    def hang_up(self) -> None:
        """End the connections that stand, so nobody waits for an answer any more; others can be opened afterwards."""
        with self._lock:
            standing = list(self._open)
        for each in standing:
            with contextlib.suppress(OSError):  # it is closed already
                each.shutdown(socket.SHUT_RDWR)


class Neighbour:
    """Dials from the lab's own bridges, if they are on this machine.

    Args:
        plug: makes the namespace, when it is first needed.
    """

    def __init__(self, plug: Callable[[], Plugged]) -> None:
        self._plug = plug
        self._plugged: Plugged | None = None
        self._lock = threading.Lock()

    def connect(self, address: str, port: int, *, timeout: float) -> Stream:
        """Open a TCP connection; see `Way.connect`. Where the lab's networks were made anew, it is plugged in again."""
        with self._lock:
            plugged = self._plugged = self._plugged or self._plug()
        try:
            stream = namespace.connect(plugged, address, port, timeout=timeout)
        except (RemoteError, DeadlineError):
            if plugged.stands:
                raise
            with self._lock:
                if self._plugged is plugged:
                    plugged.close()
                    self._plugged = None
                plugged = self._plugged = self._plugged or self._plug()
            stream = namespace.connect(plugged, address, port, timeout=timeout)
        tune(stream)
        return stream

    def close(self) -> None:
        """Unplug; nothing comes any more on sockets that are still open."""
        with self._lock:
            if self._plugged is not None:
                self._plugged.close()
                self._plugged = None


class ThroughNodes:
    """Dials by SSH from a node of the lab that is in the network, if the lab's bridges are on another machine.

    The first connection logs in to a node, which takes its own time: five seconds where the node is emulated.

    Args:
        log_in: node to what logs in to it until a `time.monotonic()`; the first that lets us in is kept and used.
    """

    def __init__(self, log_in: Mapping[str, Callable[[float], SshTransport]]) -> None:
        self._log_in = dict(log_in)
        self._kept: SshTransport | None = None
        self._lock = threading.Lock()

    def connect(self, address: str, port: int, *, timeout: float) -> Stream:
        """Open a TCP connection; see `Way.connect`."""
        with self._lock:
            transport = self._transport()
        return transport.forward(address, port, timeout=timeout)

    def close(self) -> None:
        """End the connection to the node, and with it every connection through it."""
        with self._lock:
            if self._kept is not None:
                self._kept.close()
                self._kept = None

    def _transport(self) -> SshTransport:
        if self._kept is not None and self._kept.alive:
            return self._kept
        failed, patience = [], _LOGIN_SECONDS
        for name, log_in in self._log_in.items():
            patience = max(patience / 2, _LEAST_LOGIN_SECONDS)
            try:
                self._kept = log_in(time.monotonic() + patience)
            except LabctlError as exc:
                failed.append(f"{name}: {exc.brief}")
            else:
                return self._kept
        raise RemoteError(
            "no node of the lab gives access to its networks",
            details="\n".join(failed) or "No node in them is running.",
            remedy="labctl status TEAM shows which nodes are ready.",
        )


@dataclass(frozen=True)
class Closed:
    """A network that cannot be reached now, and why."""

    why: str
    remedy: str = ""

    def connect(self, address: str, port: int, *, timeout: float) -> Stream:  # noqa: ARG002 - as the others
        """Refuse; see `Way.connect`."""
        raise RemoteError(f"{address} port {port} cannot be reached: {self.why}", remedy=self.remedy)
