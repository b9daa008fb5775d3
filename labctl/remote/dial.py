"""Dials guests from where they can be reached: here, a private host's network namespace, or a host behind SSH."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import SplitResult, parse_qs, urlsplit

from labctl import quoting
from labctl.errors import DeadlineError, InputError, RemoteError
from labctl.host import namespace as netns
from labctl.process import execute
from labctl.remote.stream import KEEPALIVE, LOG, ChannelStream, Stream, tune
from labctl.remote.translate import translating

if TYPE_CHECKING:
    import paramiko
    from netaddr import IPNetwork

_SSH_SCHEMES = frozenset({"ssh", "libssh", "libssh2"})
_LOCAL_SCHEMES = frozenset({"", "unix"})
_REMOVE_BRIDGE = 'test -z "$(ip -o link show master "$1")" && ip link delete dev "$1" type bridge'
_HOST_TIMEOUT = 30.0  # seconds for the organiser's own server to answer
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
            RemoteError: nobody answers there within `timeout` seconds.
        """
        ...

    def routes(self) -> list[IPNetwork]:
        """Return the networks that the host has routes to, default routes excepted."""
        ...

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs a program of this machine where, with `ssh_options`, it reaches guests."""
        ...

    def remove_bridge(self, name: str) -> bool:
        """Delete a bridge of the host that nothing is plugged into; return whether it was deleted."""
        ...

    def ssh_options(self) -> list[str]:
        """Return the options with which OpenSSH's programs reach guests when run as `command` says."""
        ...

    def close(self) -> None:
        """End what was opened for dialling; safe more than once. Connections made through it end too."""
        ...


class HostError(RemoteError):
    """The host itself cannot be reached, so none of its guests can."""


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
        code, _, _ = execute(self.command(["sh", "-c", _REMOVE_BRIDGE, "sh", name]), timeout=_HOST_TIMEOUT)
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

    It is the organiser's own server: their ~/.ssh/config, keys, agent and known_hosts count, unlike for nodes.

    Attributes:
        host: name as typed, perhaps an alias of the configuration.
        user: who to log in as; None for what the configuration says.
        port: likewise.
        patience: the host finds out itself that nobody is there, which takes it three seconds.
    """

    patience = 10.0

    def __init__(
        self, host: str, *, user: str | None = None, port: int | None = None, config: Path | None = None
    ) -> None:
        self.host = host
        self.user = user
        self.port = port
        self._config = config or Path("~/.ssh/config").expanduser()
        self._lock = threading.Lock()
        self._clients: list[paramiko.SSHClient] = []

    def connect(self, address: str, port: int, *, timeout: float) -> Stream:
        """Open a TCP connection to a guest; see `Dialer.connect`."""
        transport = self._transport()
        with translating(f"{address} port {port} by way of {self.host}"):
            channel = transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=timeout)
        return ChannelStream(channel)

    def routes(self) -> list[IPNetwork]:
        """Return the networks that the host has routes to.

        Raises:
            HostError: the host does not say.
        """
        transport = self._transport()
        with translating(self.host), transport.open_session(timeout=_HOST_TIMEOUT) as channel:
            channel.settimeout(_HOST_TIMEOUT)
            channel.set_combine_stderr(True)
            channel.exec_command("ip -json route show table all && ip -json -6 route show table all")
            said = b"".join(iter(lambda: channel.recv(65536), b"")).decode(errors="replace")
            if channel.recv_exit_status():
                raise HostError(f"{self.host} does not tell its routes", details=said, remedy="Install iproute2 there.")
        return parse_routes(said)

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command line as it is: OpenSSH jumps by itself."""
        return list(argv)

    def remove_bridge(self, name: str) -> bool:
        """Delete a bridge of the host that nothing is plugged into; see `Dialer.remove_bridge`."""
        with translating(self.host), self._transport().open_session(timeout=_HOST_TIMEOUT) as channel:
            channel.settimeout(_HOST_TIMEOUT)
            channel.exec_command(f"sh -c {quoting.shell(_REMOVE_BRIDGE)} sh {quoting.shell(name)}")
            return channel.recv_exit_status() == 0

    def ssh_options(self) -> list[str]:
        """Return the jump, spelled so that OpenSSH applies the user's configuration to it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return ["-o", f"ProxyJump={user}{host}{port}"]

    def close(self) -> None:
        """End the connection to the host, and with it every connection to its guests."""
        with self._lock:
            while self._clients:
                self._clients.pop().close()

    def _transport(self) -> paramiko.Transport:
        with self._lock:
            kept = self._clients[-1].get_transport() if self._clients else None
            if kept is not None and kept.is_active():
                return kept
            while self._clients:
                self._clients.pop().close()
            try:
                with translating(self.host):
                    return self._log_in(self.host, self.user, self.port)
            except (RemoteError, DeadlineError) as exc:
                while self._clients:
                    self._clients.pop().close()
                remedy = f"`ssh {self.host}` must work without a question; try it first."
                raise HostError(exc.brief, details=exc.details, remedy=remedy) from exc

    def _log_in(
        self,
        host: str,
        user: str | None,
        port: int | None,
        *,
        seen: tuple[str, ...] = (),
        through: paramiko.Transport | None = None,
    ) -> paramiko.Transport:
        """Log in to a host, through the hosts that the configuration wants passed before it."""
        import paramiko

        if host in seen:
            raise HostError(f"The SSH configuration jumps in a circle: {' → '.join((*seen, host))}")
        options = self._options(host)
        name, port = options.get("hostname", host), port or int(options.get("port", 22))
        way = _channel(through, name, port) if through else self._way(name, port, options, seen=(*seen, host))
        client = paramiko.SSHClient()
        self._clients.append(client)
        client.set_log_channel(LOG)
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        for known in options.get("userknownhostsfile", "~/.ssh/known_hosts").split():
            if Path(known).expanduser().is_file():
                client.load_system_host_keys(str(Path(known).expanduser()))
        files = [file for file in options.get("identityfile", []) if Path(file).is_file()]
        everything = options.get("identitiesonly", "no").lower() != "yes"
        client.connect(
            name,
            port,
            username=user or options.get("user"),
            key_filename=cast("Any", files),  # its type stubs know of one file only
            allow_agent=everything,
            look_for_keys=everything,
            timeout=_HOST_TIMEOUT,
            banner_timeout=_HOST_TIMEOUT,
            auth_timeout=_HOST_TIMEOUT,
            sock=way,
        )
        transport = client.get_transport()
        assert transport is not None
        tune(cast("Stream", transport.sock))
        transport.set_keepalive(KEEPALIVE)
        return transport

    def _options(self, host: str) -> paramiko.SSHConfigDict:
        import paramiko

        config = paramiko.SSHConfig.from_path(str(self._config)) if self._config.is_file() else paramiko.SSHConfig()
        return config.lookup(host)

    def _way(
        self, name: str, port: int, options: paramiko.SSHConfigDict, *, seen: tuple[str, ...]
    ) -> paramiko.Channel | paramiko.ProxyCommand | None:
        """Return the connection that the configuration prescribes; None for an ordinary one."""
        import paramiko

        command, jumps = options.get("proxycommand", "none"), options.get("proxyjump", "none")
        if command != "none":
            return paramiko.ProxyCommand(command)
        if jumps == "none":
            return None
        through: paramiko.Transport | None = None
        for jump in jumps.split(","):
            hop = urlsplit(f"ssh://{jump.strip()}")
            through = self._log_in(hop.hostname or "", hop.username, hop.port, seen=seen, through=through)
        assert through is not None
        return _channel(through, name, port)


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
        return Jump(parts.hostname, user=parts.username, port=parts.port)
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


def _channel(transport: paramiko.Transport, address: str, port: int) -> paramiko.Channel:
    return transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=_HOST_TIMEOUT)


def _listening(uri: str, parts: SplitResult) -> netns.NetworkNamespace:
    """Return the namespace of the daemon behind a URI's socket."""
    path = parse_qs(parts.query).get("socket", ["/run/libvirt/libvirt-sock"])[0]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(_HOST_TIMEOUT)
        try:
            asking.connect(path)
        except OSError as exc:
            raise InputError(f"Nobody listens at {path}", details=f"{uri}: {exc}", remedy="labctl host up") from exc
        credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, _, _ = struct.unpack("3i", credentials)
    return netns.NetworkNamespace.of(pid)
