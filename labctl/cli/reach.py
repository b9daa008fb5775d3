"""Commands that lead into a lab."""

from __future__ import annotations

import os
import re
import shutil

import click

from labctl.cli import options
from labctl.cli.labs import site_of
from labctl.errors import InputError, LabctlError
from labctl.state import Home


@click.command("ssh", context_settings={"ignore_unknown_options": True})
@click.argument("node", shell_complete=options.complete_node)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@options.team
@options.common
def ssh_command(node: str, command: tuple[str, ...], team: str | None) -> None:
    """Log in to a node, or run a command there.

    OpenSSH does it, with the lab's key and the node's pinned host key; your own known_hosts is not touched. The exit
    code is the command's.

    \b
    labctl ssh db-node
    labctl ssh db-node -- systemctl status mariadb
    """
    from labctl.lab import reach
    from labctl.state import records

    home = Home()
    name = options.one_team(home, team)
    plan = records.plan_of(records.record_of(home, name))
    with site_of(home, name) as site:
        argv = reach.ssh(home, site, plan, node, command)
    _become(argv)


@click.command("console")
@click.argument("node", shell_complete=options.complete_node)
@options.team
@options.common
def console_command(node: str, team: str | None) -> None:
    """Open a node's serial console.

    virsh does it. Leave with Ctrl-].
    """
    from labctl.lab import reach
    from labctl.state import records

    home = Home()
    name = options.one_team(home, team)
    plan = records.plan_of(records.record_of(home, name))
    with site_of(home, name) as site:
        argv = reach.console(home, site, plan, node)
    _become(argv)


@click.command("enter")
@click.argument("name", metavar="[TEAM]", required=False, shell_complete=options.complete_team)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@options.common
def enter_command(name: str | None, command: tuple[str, ...]) -> None:
    """Open a shell on this machine, inside the lab's networks.

    In it, 10.0.0.x and 172.16.x.x are this team's nodes, and they answer by the names of the tutorial. The shell is
    yours otherwise: same files, same user. When it ends, nothing of it is left.

    \b
    labctl enter team01
    labctl enter team01 -- ping -c1 db-node
    """
    from labctl.lab import reach
    from labctl.state import records

    home = Home()
    team = options.one_team(home, name)
    plan = records.plan_of(records.record_of(home, team))
    with site_of(home, team) as site:
        argv = command or (os.environ.get("SHELL") or "/bin/sh",)
        code = reach.enter(home, site, plan, argv, os.environ | {"LABCTL_TEAM": team})
    raise click.exceptions.Exit(code)


@click.command("forward")
@click.argument("name", metavar="[TEAM]", required=False, shell_complete=options.complete_team)
@click.option(
    "--port",
    "ports",
    metavar="[HERE:]NAME:PORT",
    multiple=True,
    help="A port of a node, or of any name or address in the lab; may be given again.",
)
@click.option("--address", default="127.0.0.1", show_default=True, help="Where to listen on this machine.")
@click.option(
    "--stdio",
    metavar="NAME:PORT",
    help="Do not listen: connect standard input and output with this port, for OpenSSH's ProxyCommand.",
)
@options.common
def forward_command(name: str | None, ports: tuple[str, ...], address: str, stdio: str | None) -> None:
    """Open ports of a lab on this machine until Ctrl-C.

    Without --port: the dashboard, and Keystone. Everybody who can reach the address can reach the ports.

    \b
    labctl forward team01                             dashboard and Keystone, on ports that are free
    labctl forward team01 --port 8080:api-node:80     http://127.0.0.1:8080/horizon/
    labctl forward team01 --port 2222:172.16.1.7:22   SSH of an instance, by its floating address
    """
    import threading

    from labctl.lab import inside, reach
    from labctl.state import records

    home = Home()
    team = options.one_team(home, name)
    plan = records.plan_of(records.record_of(home, team))
    if stdio is not None:
        _, node, port = _port(stdio)
        with site_of(home, team) as site, inside.opened(home, site, plan) as dialer:
            reach.carry(dialer, node, port)
        return
    wanted = [_port(text) for text in ports] or [
        (0, node.name, port) for role, port in _SHOWN.items() for node in plan.nodes if role in node.roles
    ]
    if not wanted:
        raise InputError(f"{team} has no dashboard", remedy="Name a port: --port 8080:NODE:80")
    with site_of(home, team) as site, inside.opened(home, site, plan) as dialer:
        forwards = reach.forwards(site, plan, dialer, wanted, address=address)
        for (_, node, port), opened in zip(wanted, forwards, strict=True):
            path = "/horizon/" if port == _SHOWN["horizon"] else ""
            options.say(f"http://{opened.netloc}{path}  is  {node} port {port}")
        options.say("Ctrl-C ends it.")
        while not threading.Event().wait(0.5):
            pass  # a signal that another thread was given is noticed between two waits


_SHOWN = {"horizon": 80, "keystone": 5000}


def _port(text: str) -> tuple[int, str, int]:
    """Read [HERE:]NAME:PORT."""
    found = re.fullmatch(r"(?:([0-9]{1,5}):)?([^:]+):([0-9]{1,5})", text)
    here, there = (int(found[1] or 0), int(found[3])) if found else (0, 0)
    if not found or here > 65535 or not 0 < there < 65536:
        raise InputError(f"{text} is no port", remedy="Write 8080:api-node:80, or api-node:80 for a free port here.")
    return here, found[2], there


@click.command("use")
@click.argument("name", metavar="TEAM", shell_complete=options.complete_team)
@options.common
def use_command(name: str) -> None:
    """Choose the team for commands that name none."""
    from labctl.state import records

    home = Home()
    teams = options.expand([name])
    if len(teams) != 1:
        raise InputError(f"{name} is {len(teams)} teams", remedy="Name one.")
    records.record_of(home, teams[0])
    home.team = teams[0]
    options.say(f"Commands without --team now mean {teams[0]}.")


def _become(argv: list[str]) -> None:
    """Replace this process by a program."""
    program = shutil.which(argv[0])
    if program is None:
        raise LabctlError(f"{argv[0]} is not installed", remedy="labctl doctor names the package it comes in.")
    os.execv(program, argv)  # noqa: S606 - no shell is wanted
