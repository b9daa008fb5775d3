"""The command that opens the classroom's doors."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from labctl.cli import options
from labctl.cli.errors import message
from labctl.errors import InputError, LabctlError
from labctl.state import Home

if TYPE_CHECKING:
    from labctl.door.server import Listening
    from labctl.lab.sessions import SessionEvent


@click.command("serve")
@click.option(
    "--ssh", "ssh", metavar="[ADDRESS:]PORT", help="Open the SSH door here; without ADDRESS on all addresses."
)
@options.common
def serve_command(ssh: str | None) -> None:
    """Open the classroom's doors, by which teams come in, until Ctrl-C.

    Each team comes in with its password or a key (labctl access), reaches its own lab, and nothing else: not this
    machine, not another team, nothing outside. Killing the program harms no lab.

    \b
    labctl access add team01..team20; labctl serve --ssh 2222
    ssh -p 2222 team01@classroom                     the list of nodes, and a shell on one
    ssh -p 2222 team01+db-node@classroom             a shell on db-node
    ssh -J team01@classroom:2222 root@db-node        with the lab's own key
    """
    from labctl.lab import access

    if ssh is None:
        raise InputError("which door?", remedy="labctl serve --ssh 2222")
    home = Home()
    listening = _listening(ssh, access.door_key(home).private)
    with home.lock("door", "serve"):
        if not access.every(home):
            click.echo("No team has access yet: labctl access add TEAM...", err=True)
        asyncio.run(_serve(home, listening))


async def _serve(home: Home, listening: Listening) -> None:
    from labctl.door import server
    from labctl.lab.visit import Visits

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    doors = server.opened(Visits(home), listening, record=partial(_record, home), failed=_failed)
    async with doors as port:
        options.say(f"The SSH door is open on port {port}. Ctrl-C closes it.")
        await stop.wait()
    options.say("The door is closed.")


def _record(home: Home, events: Sequence[SessionEvent]) -> None:
    from labctl.lab import sessions
    from labctl.report import access as views

    sessions.record(home, events)
    for event in events:
        click.echo(f"{views.shown(event.team)} from {event.address}: {views.said(event)}")


def _failed(error: LabctlError) -> None:
    click.echo(message(error), err=True)


def _listening(text: str, host_key: str) -> Listening:
    """Read [ADDRESS:]PORT.

    Raises:
        InputError: it is something else, or labctl was installed without what the door needs.
    """
    try:
        from labctl.door.server import Listening
    except ModuleNotFoundError as exc:
        raise LabctlError(
            "the door needs asyncssh, which is not installed",
            details=str(exc),
            remedy="Install labctl with its extra: pip install 'labctl-openstack[classroom]'",
        ) from exc
    found = re.fullmatch(r"(?:(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]]+)):)?([0-9]{1,5})", text)
    if not found or int(found[3]) > 65535:
        raise InputError(
            f"{text!r} is no place to listen", remedy="Write PORT or ADDRESS:PORT, 2222 or 127.0.0.1:2222."
        )
    return Listening(address=found[1] or found[2] or "", port=int(found[3]), host_key=host_key)
