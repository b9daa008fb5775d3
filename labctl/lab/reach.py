"""Ways into a lab: what to run to get there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from labctl import quoting
from labctl.errors import InputError, RefusedError
from labctl.host import enter as shells
from labctl.lab import inside, trouble
from labctl.plan.model import LabPlan, NodePlan
from labctl.remote import dial as dialers
from labctl.remote import forward
from labctl.remote.dial import Dialer
from labctl.remote.forward import Forward
from labctl.remote.inside import LabDialer
from labctl.site.site import Site
from labctl.state import Home, LabFolder


def ssh(home: Home, site: Site, lab: LabPlan, name: str, command: Sequence[str]) -> list[str]:
    """Return the OpenSSH command line that logs in to a node.

    Raises:
        InputError: the lab has no such node, or it is not running.
    """
    node = _running(site, lab, name)
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


def console(site: Site, lab: LabPlan, name: str) -> list[str]:
    """Return the command line that opens a node's serial console.

    Raises:
        InputError: the lab has no such node, or it is not running.
    """
    node = _running(site, lab, name)
    return ["virsh", "--connect", site.hypervisor.uri, "console", "--force", str(node.uuid)]


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
