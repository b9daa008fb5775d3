"""Ways into a lab: what to run to get there."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from labctl import quoting
from labctl.errors import InputError, NotFoundError, RefusedError, RemoteError
from labctl.host import enter as shells
from labctl.hypervisor.console import Console
from labctl.lab import inside, trouble
from labctl.plan.model import LabPlan, NodePlan
from labctl.remote import dial as dialers
from labctl.remote import forward
from labctl.remote.dial import Dialer
from labctl.remote.forward import Forward
from labctl.remote.inside import LabDialer
from labctl.site.site import Site
from labctl.state import Home, LabFolder

_PRINTED = 256 * 1024  # bytes
_LOOPBACK = 10.0  # seconds


def ssh(home: Home, site: Site, lab: LabPlan, name: str, command: Sequence[str]) -> list[str]:
    """Return the OpenSSH command line that logs in to a node.

    Raises:
        InputError: the lab has no such node, or it is not running.
    """
    node = _running(site, lab, name)
    home.lab(lab.team).let_in()
    return site.dialer.command(ssh_line(home.lab(lab.team), site.dialer, node, command))


def ssh_line(folder: LabFolder, dialer: Dialer, node: NodePlan, command: Sequence[str]) -> list[str]:
    """Return the OpenSSH command line for a node, as it is run where `dialer.command` says.

    The user's own configuration is about their servers. It counts on the way, and not for nodes: their users are root
    there, and would be handed the user's agent by `ForwardAgent yes`.
    """
    options = {
        "IdentitiesOnly": "yes",
        "IdentityFile": quoting.ssh_file(folder.key),
        "UserKnownHostsFile": quoting.ssh_file(folder.known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "HostKeyAlias": node.name,
        "LogLevel": "ERROR",
    }
    argv = ["ssh", "-F", "/dev/null", *dialer.ssh_options()]
    return [*argv, *(f"-o{key}={value}" for key, value in options.items()), f"root@{node.mgmt}", *command]


def console(home: Home, site: Site, lab: LabPlan, name: str) -> list[str]:
    """Return the command line that opens a node's serial console.

    Raises:
        InputError: the lab has no such node, or it is not running.
    """
    node = _running(site, lab, name)
    home.lab(lab.team).let_in()
    return ["virsh", "--connect", site.hypervisor.uri, "console", "--force", str(node.uuid)]


def open_console(site: Site, lab: LabPlan, name: str, received: Callable[[bytes], object]) -> Console:
    """Open a node's serial console, for a program; whoever had it open loses it.

    Args:
        received: told what is printed from now on, in another thread; nothing at the end.

    Raises:
        InputError: the lab has no such node, or it is not running.
    """
    return site.hypervisor.open_console(_running(site.again(), lab, name).uuid, received)


def printed(site: Site, lab: LabPlan, name: str) -> bytes:
    """Return the last that a node has printed to its serial console; nothing where it was made without a log."""
    (node,) = (node for node in lab.nodes if node.name == name)
    text = bytearray()

    def take(part: bytes) -> None:
        text.extend(part)
        del text[:-_PRINTED]

    with contextlib.suppress(NotFoundError):
        site.hypervisor.fetch(site.settings.pool.name, node.console, take)
    return bytes(text)


def picture(site: Site, lab: LabPlan, name: str) -> socket.socket:
    """Connect with a node's screen (VNC), which listens on its host's loopback alone.

    Raises:
        InputError: the lab has no such node, or it is not running.
        RemoteError: it has no screen, or the host cannot be reached.
    """
    domain = site.hypervisor.domain(_running(site.again(), lab, name).uuid)
    if domain is None or domain.picture is None:
        raise RemoteError(f"{name} of {lab.team} has no screen")
    return forward.as_socket(site.dialer.connect("127.0.0.1", domain.picture, timeout=_LOOPBACK))


def forwards(
    site: Site, lab: LabPlan, dialer: LabDialer, ports: Sequence[tuple[int, str, int]], *, address: str
) -> list[Forward]:
    """Listen on ports of this machine for ports of a lab.

    Args:
        ports: port here (0 chooses one), name or address in the lab, port there.
        address: of this machine, to listen on.

    Raises:
        InputError: the lab does not know the name, or its node is not running.
        RefusedError: a port here is taken.
    """
    opened: list[Forward] = []
    try:
        for here, name, there in ports:
            dialer.address(name)  # refuses what the lab does not know
            if name in {node.name for node in lab.nodes}:
                _running(site, lab, name)
            opened.append(Forward(address, here, partial(dialer.open, name, there)))
    except BaseException:
        for each in opened:
            each.close()
        raise
    return opened


def carry(dialer: LabDialer, name: str, port: int) -> None:
    """Connect this program's standard input and output with a port of a lab, until the port's side has ended.

    Raises:
        InputError: the lab does not know the name.
        RemoteError: nobody listens there.
    """
    forward.carry(dialer.open(name, port), source=0, target=1)


def enter(home: Home, site: Site, lab: LabPlan, argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a program that stands in the lab's isolated networks; return its exit code.

    Its address in each is the highest that no node has, and no other such shell.

    Raises:
        RefusedError: the host is another machine.
        InputError: a network of the lab does not run.
        LockedError: a hundred shells stand in the lab already.
    """
    if not isinstance(site.dialer, dialers.Namespace):
        raise RefusedError(
            f"{site.name} is another machine: its bridges cannot be entered from here",
            remedy="Run labctl enter on that machine, or log in to a node: "
            f"labctl ssh {lab.nodes[0].name} -t {lab.team}",
        )
    home.lab(lab.team).let_in()
    with inside.plugs(home, site, lab) as plugs:
        return shells.enter(argv, base=site.dialer.namespace, plugs=plugs, hosts=_hosts(lab), env=env)


def _hosts(lab: LabPlan) -> str:
    """Return an /etc/hosts that knows the lab's nodes."""
    entries = [f"{entry.address} {' '.join(entry.names)}" for entry in lab.hosts]
    return "\n".join(["127.0.0.1 localhost", "::1 localhost", *entries, ""])


def _running(site: Site, lab: LabPlan, name: str) -> NodePlan:
    known = {node.name: node for node in lab.nodes}
    if name not in known:
        raise InputError(f"{lab.team} has no node {name}", details=f"Its nodes are {', '.join(known)}.")
    if wrong := trouble.down(site, lab, known[name]):
        raise InputError(f"{name} of {lab.team} {wrong.what}", remedy=wrong.remedy)
    return known[name]
