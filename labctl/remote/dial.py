"""Dials guests from where they can be reached: here, a private host's network namespace, or a host behind SSH."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import SplitResult, parse_qs, urlsplit

from labctl import quoting
from labctl.errors import DeadlineError, InputError, RemoteError
from labctl.host import namespace as netns
from labctl.process import execute
from labctl.remote.openssh import HOST_TIMEOUT, HostError, Server
from labctl.remote.stream import Stream, tune

if TYPE_CHECKING:
    from netaddr import IPNetwork

_SSH_SCHEMES = frozenset({"ssh", "libssh", "libssh2"})
_LOCAL_SCHEMES = frozenset({"", "unix"})
_ROUTES = "ip -json route show table all && ip -json -6 route show table all"
_REMOVE_BRIDGE = r"""
test -z "$(ip -o link show master "$1" 2>/dev/null)" || exit 1
removed=1
for comm in $(grep -lx dnsmasq /proc/[0-9]*/comm 2>/dev/null); do
    process=${comm%/comm} tries=0
    grep -qzx "VIR_BRIDGE_NAME=$1" "$process/environ" 2>/dev/null || continue
    kill "${process#/proc/}" && removed=0
    while [ -e "$process/exe" ] && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
done
ip link delete dev "$1" type bridge 2>/dev/null && removed=0
exit "$removed"
"""
_WHOLE = 8  # a route with a shorter prefix is a default route in disguise (VPNs halve it), not a network in use


class Dialer(Protocol):
    """The way to a host's guests."""

    @property
    def patience(self) -> float:
        """Seconds that one attempt to connect should be given while a guest boots."""
        ...

    def connect(self, address: str, port: int, *, timeout: float) -> Stream:
        """Open a TCP connection to a guest.

        Raises:
            RemoteError: nobody listens there, or the address cannot be reached.
            DeadlineError: nobody answered within `timeout` seconds.
        """
        ...

    def routes(self) -> list[IPNetwork]:
        """Return the networks that the host has routes to, default routes excepted."""
        ...

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs a program of this machine where, with `ssh_options`, it reaches guests."""
        ...

    def remove_bridge(self, name: str) -> bool:
        """Delete a bridge of the host that nothing is plugged into, and end the DHCP server that libvirt ran on it.

        Returns:
            Whether there was either.
        """
        ...

    def ssh_options(self) -> list[str]:
        """Return the options with which OpenSSH's programs reach guests when run as `command` says."""
        ...

    def close(self) -> None:
        """End what was opened for dialling; safe more than once. Connections made through it end too."""
        ...


@dataclass(frozen=True)
class Namespace:
    """Dials guests from inside a private host's network namespace.

    Attributes:
        namespace: where from; None means our own.
    """

    namespace: netns.NetworkNamespace | None
    patience: float = 1.0
    """A lost SYN is sent again after one second; a new attempt does as well, and can be interrupted."""

    def connect(self, address: str, port: int, *, timeout: float) -> Stream:
        """Open a TCP connection to a guest; see `Dialer.connect`."""
        stream = netns.connect(self.namespace, address, port, timeout=timeout)
        tune(stream)
        return stream

    def routes(self) -> list[IPNetwork]:
        """Return the networks with routes in the namespace."""
        return netns.routes(self.namespace)

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs a program in the namespace."""
        return netns.wrap(self.namespace, argv)

    def remove_bridge(self, name: str) -> bool:
        """Delete a bridge that nothing is plugged into; see `Dialer.remove_bridge`."""
        code, _, _ = execute(self.command(["sh", "-c", _REMOVE_BRIDGE, "sh", name]), timeout=HOST_TIMEOUT)
        return code == 0

    def ssh_options(self) -> list[str]:
        """Return nothing: in there, guests are neighbours."""
        return []

    def close(self) -> None:
        """Do nothing: nothing is kept."""


class Direct(Namespace):
    """Dials guests of this machine's own libvirt."""

    def __init__(self) -> None:
        super().__init__(None)


class Jump:
    """Dials guests of a host that is reached by SSH, as the user who runs labctl reaches it.

    It is the organiser's own server: their ~/.ssh/config, keys, agent and known_hosts count, unlike for nodes. Nothing
    of them counts beyond it: nodes belong to learners.

    Attributes:
        host: name as typed, perhaps an alias of the configuration.
        patience: the host finds out itself that nobody is there, which takes it three seconds.
    """

    patience = 10.0

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
        self._server = Server(host, user=user, port=port, config=config, options=options)

    def connect(self, address: str, port: int, *, timeout: float) -> Stream:
        """Open a TCP connection to a guest; see `Dialer.connect`."""
        return self._server.connect(address, port, timeout=timeout)

    def routes(self) -> list[IPNetwork]:
        """Return the networks that the host has routes to.

        Raises:
            HostError: the host does not say.
        """
        brief, remedy = f"{self.host} does not report its routes", "Install iproute2 there."
        try:
            return parse_routes(said := self._server.run(_ROUTES, timeout=HOST_TIMEOUT))
        except HostError:
            raise
        except (RemoteError, DeadlineError) as exc:
            raise HostError(brief, details=exc.details, remedy=remedy) from exc
        except (ValueError, LookupError, TypeError) as exc:
            remedy = "A login shell there must print nothing of its own (~/.bashrc)."
            raise HostError(brief, details=f"It says:\n{said[:500]}", remedy=remedy) from exc

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command line as it is: OpenSSH goes by way of the host by itself."""
        return list(argv)

    def remove_bridge(self, name: str) -> bool:
        """Delete a bridge of the host that nothing is plugged into; see `Dialer.remove_bridge`."""
        try:
            self._server.run(quoting.shell_line(["sh", "-c", _REMOVE_BRIDGE, "sh", name]), timeout=HOST_TIMEOUT)
        except HostError:
            raise
        except RemoteError:
            return False
        return True

    def ssh_options(self) -> list[str]:
        """Return the way through the host; the user's configuration counts for the host, not for the node."""
        return ["-o", f"ProxyCommand={self._server.proxy_command()}"]

    def close(self) -> None:
        """End the connection to the host, and with it every connection to its guests."""
        self._server.close()


def for_uri(uri: str, *, how: str = "auto", namespace: netns.NetworkNamespace | None = None) -> Dialer:
    """Return the dialer for the guests of a libvirt URI.

    Args:
        uri: where libvirt is.
        how: direct, namespace or jump; auto chooses by the URI.
        namespace: the private host's network namespace, where it is known; otherwise that of whoever listens on
            the URI's socket.

    Raises:
        InputError: guests of that URI cannot be dialled so.
    """
    parts = urlsplit(uri)
    transport = parts.scheme.partition("+")[2]
    if how == "auto":
        if transport in _SSH_SCHEMES:
            how = "jump"
        elif transport in _LOCAL_SCHEMES and not parts.hostname:
            how = "namespace" if namespace else "direct"
        else:
            how = "nothing"
    if how == "direct":
        return Direct()
    if how == "namespace":
        return Namespace(namespace or _listening(uri, parts))
    if how == "jump" and parts.hostname:
        return Jump(parts.hostname, user=parts.username, port=parts.port, options=_ssh_options(parts.query))
    raise InputError(
        f"Guests of {uri} cannot be reached from here",
        details="Their network is inside that host; only SSH leads there.",
        remedy="Use qemu+ssh://USER@HOST/system, or a URI of this machine.",
    )


def unattended(uri: str) -> str:
    """Return a libvirt URI whose SSH, if it has one, asks no question but fails: guests are dialled without any too."""
    parts = urlsplit(uri)
    if parts.scheme.partition("+")[2] != "ssh" or "no_tty" in parse_qs(parts.query):
        return uri
    return parts._replace(query="&".join(filter(None, (parts.query, "no_tty=1")))).geturl()


def parse_routes(text: str) -> list[IPNetwork]:
    """Return the networks in what `ip -json route` printed, one or several lists; default routes are left out."""
    from netaddr import IPNetwork

    found: set[IPNetwork] = set()
    for line in filter(str.strip, text.splitlines()):
        for route in json.loads(line):
            if route["dst"] == "default" or route.get("type") in ("broadcast", "multicast", "anycast"):
                continue
            network = IPNetwork(route["dst"])
            if network.prefixlen >= _WHOLE and not (network.ip.is_loopback() or network.ip.is_link_local()):
                found.add(network.cidr)
    return sorted(found)


def _ssh_options(query: str) -> dict[str, str]:
    """Return what a libvirt URI says about SSH in OpenSSH's words: libvirt's own connection is made so too."""
    said = {key: values[-1] for key, values in parse_qs(query).items()}
    options: dict[str, str] = {}
    if "keyfile" in said:
        options["IdentityFile"] = quoting.ssh_file(said["keyfile"])
    if "known_hosts" in said:
        options["UserKnownHostsFile"] = quoting.ssh_file(said["known_hosts"])
    if said.get("no_verify", "0") != "0":
        options["StrictHostKeyChecking"] = "no"
    return options


def _listening(uri: str, parts: SplitResult) -> netns.NetworkNamespace:
    """Return the namespace of the daemon behind a URI's socket."""
    path = parse_qs(parts.query).get("socket", ["/run/libvirt/libvirt-sock"])[0]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(HOST_TIMEOUT)
        try:
            asking.connect(path)
        except OSError as exc:
            raise InputError(f"Nothing listens at {path}", details=f"{uri}: {exc}", remedy="labctl host up") from exc
        credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, _, _ = struct.unpack("3i", credentials)
    return netns.NetworkNamespace.of(pid)
