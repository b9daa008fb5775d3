"""How OpenSSH logs in to each node of a lab, as data; and the configuration file that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labctl import quoting
from labctl.plan.model import LabPlan, NodePlan


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Where a team's files are on the machine that logs in.

    Attributes:
        private: file of the lab's private key.
        known_hosts: file of the nodes' host keys, and of the door's.
    """

    private: str
    known_hosts: str


@dataclass(frozen=True, kw_only=True)
class Door:
    """The SSH server of a classroom, as the machine that logs in names it."""

    host: str
    port: int

    @property
    def alias(self) -> str:
        """Its name in known_hosts files."""
        return f"[{self.host}]:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Login:
    """One node.

    A node is dialled under its alias. The lab's own names are those of every other lab too: OpenSSH would take one
    team's shared connection (ControlMaster) for another's.

    Attributes:
        alias: its name with the team's, team01-db-node.
        node: its name in its lab.
        options: OpenSSH's options by name, as a configuration file has them; without the proxy.
        proxy: the command that carries the connection to the node's SSH server, as words.
    """

    alias: str
    node: str
    options: Mapping[str, str]
    proxy: tuple[str, ...]

    @property
    def proxy_command(self) -> str:
        """The value of OpenSSH's ProxyCommand: a line for a shell, with % doubled."""
        return quoting.shell_line(self.proxy).replace("%", "%%")


def direct(lab: LabPlan, keys: Keys, carrier: Sequence[str]) -> list[Login]:
    """Return the logins of a lab from the machine that labctl runs on.

    Args:
        carrier: command that connects its standard input and output with ADDRESS:PORT of the lab, which comes last.
    """
    return [_login(node, keys, (*carrier, f"{node.mgmt}:22")) for node in lab.nodes]


def through(lab: LabPlan, keys: Keys, door: Door) -> list[Login]:
    """Return the logins of a lab from anywhere, through the classroom's door."""
    options = [f"-o{key}={value}" for key, value in _door_options(keys, door).items()]
    hop = ("ssh", "-p", str(door.port), "-l", lab.team, *options)
    return [_login(node, keys, (*hop, "-W", f"{node.full_name}:22", "--", door.host)) for node in lab.nodes]


def ssh_config(lab: LabPlan, logins: Sequence[Login], *, door: tuple[Door, Keys] | None, alone: bool) -> str:
    """Write the part of an OpenSSH configuration that is about one lab.

    Args:
        door: what the logins lead through; None where they are direct.
        alone: whether no other lab is in the same file; nodes then have the lab's own names too.
    """
    parts, jump = [f"# {lab.team}: topology {lab.topology}"], f"{lab.team}-door"
    if door is not None:
        way, keys = door
        options = {"HostName": way.host, "Port": str(way.port), "User": lab.team, **_door_options(keys, way)}
        parts.append(_block([jump], options))
    known = {str(entry.address): entry.names for entry in lab.hosts}
    for login in logins:
        own = [str(nic.address) for nic in lab.node(login.node).nics if nic.address is not None]
        names = [login.node, *(name for address in own for name in known.get(address, ()))] if alone else []
        proxy = {"ProxyCommand": login.proxy_command} if door is None else {"ProxyJump": jump}
        options = {"HostName": login.alias, **login.options, **proxy}
        parts.append(_block(list(dict.fromkeys([login.alias, *names])), options))
    return "\n\n".join(parts) + "\n"


def _block(names: Sequence[str], options: Mapping[str, str]) -> str:
    return "\n".join([f"Host {' '.join(names)}", *(f"    {key} {value}" for key, value in options.items())])


def _door_options(keys: Keys, door: Door) -> dict[str, str]:
    """Return what OpenSSH needs to know of the door: its key, and that nothing is handed on to it."""
    return {
        "UserKnownHostsFile": quoting.ssh_file(keys.known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "HostKeyAlias": door.alias,
        "ForwardAgent": "no",
        "ForwardX11": "no",
    }


def _login(node: NodePlan, keys: Keys, proxy: tuple[str, ...]) -> Login:
    options = {
        "User": "root",
        "IdentityFile": quoting.ssh_file(keys.private),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": quoting.ssh_file(keys.known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "HostKeyAlias": node.name,
        "ForwardAgent": "no",
    }
    return Login(alias=node.full_name, node=node.name, options=options, proxy=proxy)
