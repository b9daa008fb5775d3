"""Commands that write files for other tools: OpenSSH's configuration, Ansible's inventory."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labctl.cli import options
from labctl.errors import InputError
from labctl.state import Home

if TYPE_CHECKING:
    from labctl.plan.model import LabPlan
    from labctl.report.logins import Door, Keys, Login

_LAPTOP = "~/.ssh/labctl"
_door = click.option(
    "--door", "door_text", metavar="HOST[:PORT]", help="Through the classroom's SSH door, at this name and port [2222]."
)
_keys = click.option(
    "--keys",
    "folder",
    metavar="FOLDER",
    help=f"Where TEAM.key and TEAM.known_hosts are on the machine that logs in through the door.  [default: {_LAPTOP}]",
)


@click.command("ssh-config")
@options.teams(required=False)
@_door
@_keys
@click.option("--to", metavar="FOLDER", help="Write the file config here, with the keys that it needs beside it.")
@options.common
def ssh_config_command(teams: tuple[str, ...], door_text: str | None, folder: str | None, to: str | None) -> None:
    """Print an OpenSSH configuration for labs: ssh team01-db-node.

    Without --door it is for this machine and this user, and refers to the state folder. With --door it is for any
    machine: a team's own. It needs two files there, which --to writes: the lab's private key, and the host keys. A
    configuration of one lab also has the lab's own names: ssh db-node.

    \b
    labctl ssh-config team01 > ~/.ssh/team01; ssh -F ~/.ssh/team01 db-node
    labctl ssh-config team01 --door classroom.example.org --to team01-files
    """
    from labctl.report import logins

    home, named, door = Home(), _named(teams), door_of(door_text)
    if door is None and (folder or to):
        raise InputError("--keys and --to are for another machine", remedy="Say how it gets there: --door HOST")
    folder = folder or (str(Path(to).absolute()) if to else None)
    labs = [(plan, _logins(home, plan, door, folder)) for plan in named]
    text = "\n".join(
        logins.ssh_config(plan, found, door=(door, _on_laptop(plan, folder)) if door else None, alone=len(labs) == 1)
        for plan, found in labs
    )
    if to is None or door is None:
        click.echo(text, nl=False)
        return
    _write(home, named, door, Path(to), text)
    options.say(f"{to} has config, and the keys of {', '.join(plan.team for plan in named)}. It opens their labs.")


@click.command("inventory")
@options.teams(required=False)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["ini", "yaml", "json", "hosts"]),
    default="ini",
    show_default=True,
    help="The format: hosts is lines for /etc/hosts with the nodes' management addresses.",
)
@click.option("--list", "listing", is_flag=True, help="Print what an inventory script prints: as -o json.")
@click.option("--host", "name", metavar="NAME", help="Print the variables of one host, as an inventory script does.")
@_door
@_keys
@options.common
def inventory_command(
    teams: tuple[str, ...], output: str, listing: bool, name: str | None, door_text: str | None, folder: str | None
) -> None:
    """Print the nodes of labs as an inventory for Ansible.

    It has all labs, if no team is named. A node is a host of the name team01-db-node. Groups are lab_TEAM, role_ROLE,
    topology_NAME and stage_STAGE. Connections go through labctl forward --stdio on this machine, or through the door.

    \b
    labctl inventory > labs.ini; ansible -i labs.ini role_nova -m ping
    printf '#!/bin/sh\\nexec labctl inventory "$@"\\n' > labs; chmod +x labs; ansible -i ./labs all -m ping
    """
    from labctl.cli.show import show
    from labctl.report import inventory

    home, door = Home(), door_of(door_text)
    named = _named(teams or [record.team for record in home.records()])
    labs = [(plan, _logins(home, plan, door, folder)) for plan in named]
    if name is not None:
        click.echo(json.dumps(inventory.host(labs, name), indent=2))
    elif output == "hosts":
        click.echo(inventory.hosts(named), nl=False)
    elif output == "ini" and not listing:
        click.echo(inventory.ini(labs), nl=False)
    elif output == "yaml" and not listing:
        show("yaml", document=inventory.document(labs), text="")
    else:
        show("json", document=inventory.listing(labs), text="")


def door_of(text: str | None) -> Door | None:
    """Return the door that HOST or HOST:PORT names; None where nothing is said.

    Raises:
        InputError: it names none.
    """
    from labctl.report.logins import Door

    if text is None:
        return None
    host, port = options.place(text, port=2222)
    return Door(host=host, port=port)


def _named(teams: Sequence[str]) -> list[LabPlan]:
    from labctl.cli.labs import teams_of
    from labctl.state import records

    home = Home()
    return [records.plan_of(records.record_of(home, team)) for team in teams_of(home, teams)]


def _logins(home: Home, plan: LabPlan, door: Door | None, folder: str | None) -> list[Login]:
    from labctl.report import logins

    if door is not None:
        return logins.through(plan, _on_laptop(plan, folder), door)
    lab = home.lab(plan.team)
    ourselves = [sys.executable, "-P", "-c", "from labctl.cli import main; main()"]
    carrier = ["env", f"LABCTL_HOME={home.root}", *ourselves, "forward", plan.team, "--stdio"]
    return logins.direct(plan, logins.Keys(private=str(lab.key), known_hosts=str(lab.known_hosts)), carrier)


def _on_laptop(plan: LabPlan, folder: str | None) -> Keys:
    from labctl.report.logins import Keys

    place = folder or _LAPTOP
    return Keys(private=f"{place}/{plan.team}.key", known_hosts=f"{place}/{plan.team}.known_hosts")


def _write(home: Home, labs: Sequence[LabPlan], door: Door, to: Path, text: str) -> None:
    from labctl.lab import access, secrets
    from labctl.state import write_atomically

    host_key = access.door_key(home).public.split()[:2]
    for plan in labs:
        folder = home.lab(plan.team)
        write_atomically(to / f"{plan.team}.key", secrets.login_key(folder))
        known = folder.read("known_hosts") or ""
        write_atomically(to / f"{plan.team}.known_hosts", f"{door.alias} {' '.join(host_key)}\n{known}")
    write_atomically(to / "config", text)
