"""The command that opens the classroom's doors."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labctl.cli import options
from labctl.cli.errors import message
from labctl.errors import InputError, LabctlError
from labctl.state import Home

if TYPE_CHECKING:
    from labctl.lab.sessions import SessionEvent


@dataclass(frozen=True)
class Place:
    """Where a door listens.

    Attributes:
        address: of this machine; empty for all.
    """

    address: str
    port: int


class _Place(click.ParamType):  # type: ignore[type-arg] # older clicks have no parameter there
    name = "place"

    def convert(self, value: str | Place, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        if isinstance(value, Place):
            return value
        found = re.fullmatch(r"(?:(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]]+)):)?([0-9]{1,5})", value)
        if not found or int(found[3]) > 65535:
            raise InputError(f"{value!r} is no place to listen", remedy="Write 2222 or 127.0.0.1:2222.")
        return Place(address=found[1] or found[2] or "", port=int(found[3]))


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("serve")
@click.option("--ssh", type=_Place(), metavar="[ADDRESS:]PORT", help="Open the SSH door here.")
@click.option("--https", type=_Place(), metavar="[ADDRESS:]PORT", help="Open the web pages here.")
@click.option("--dashboards", type=_Place(), metavar="[ADDRESS:]PORT", help="Open the labs' dashboards here.")
@click.option("--name", metavar="HOST", multiple=True, help="A name of this machine, for the self-made certificate.")
@click.option("--certificate", type=_FILE, help="A certificate for the web pages, as PEM. Default: a self-made one.")
@click.option("--key", type=_FILE, help="Its private key, as PEM.")
@click.option("--record", is_flag=True, help="Keep what terminals show, in door/recordings. Each one says so.")
@options.common
def serve_command(
    ssh: Place | None,
    https: Place | None,
    dashboards: Place | None,
    name: tuple[str, ...],
    certificate: Path | None,
    key: Path | None,
    record: bool,
) -> None:
    """Open the classroom's doors, by which teams come in, until Ctrl-C.

    Each team comes in with its password or a key (labctl access), reaches its own lab, and nothing else: not this
    machine, not another team, nothing outside. Killing the program harms no lab. Without ADDRESS a door is open on all
    addresses of this machine. The organiser comes in by a link: labctl access link.

    \b
    labctl access add team01..team20; labctl serve --ssh 2222 --https 8443
    ssh -p 2222 team01@classroom                     the list of nodes, and a shell on one
    ssh -p 2222 team01+db-node@classroom             a shell on db-node
    ssh -J team01@classroom:2222 root@db-node        with the lab's own key
    """
    from labctl.lab import access

    if ssh is None and https is None:
        raise InputError("which door?", remedy="labctl serve --ssh 2222 --https 8443")
    if dashboards is not None and https is None:
        raise InputError("the dashboards need the web pages, where teams log in", remedy="Give --https, too.")
    if (certificate is None) != (key is None):
        raise InputError("--certificate and --key go together")
    home = Home()
    with home.lock("door", "serve"):
        if not access.every(home):
            click.echo("No team has access yet: labctl access add TEAM...", err=True)
        with _needed():
            from labctl.board import server as pages

            files = (certificate, key) if certificate and key else (pages.self_made(home, name),) * 2
            asyncio.run(_serve(home, _Doors(ssh, https, dashboards, record), files))


@dataclass(frozen=True)
class _Doors:
    """What is opened, and whether what terminals show is kept."""

    ssh: Place | None
    https: Place | None
    dashboards: Place | None
    record: bool


async def _serve(home: Home, wanted: _Doors, files: tuple[Path, Path]) -> None:
    from labctl.board import server as pages
    from labctl.board.windows import LIBRARIES
    from labctl.door import hall, server
    from labctl.lab import access
    from labctl.lab.visit import Visits

    ssh, https, dashboards = wanted.ssh, wanted.https, wanted.dashboards
    recordings = home.root / "door" / "recordings" if wanted.record else None
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as doors:
        port = None
        behind = await doors.enter_async_context(
            hall.opened(Visits(home), record=partial(_record, home), failed=_failed, recordings=recordings)
        )
        if ssh is not None:
            there = server.Listening(address=ssh.address, port=ssh.port, host_key=access.door_key(home).private)
            port = await doors.enter_async_context(server.opened(behind, there))
            options.say(f"The SSH door is open on port {port}.")
        if https is not None:
            certificate, key = files
            at = pages.Listening(
                address=https.address,
                port=https.port,
                certificate=certificate,
                key=key,
                ssh_port=port,
                dashboards=(dashboards.address, dashboards.port) if dashboards else None,
            )
            web = await doors.enter_async_context(pages.opened(home, at, behind, failed=_failed))
            options.say(f"The web pages are open on port {web}.")
            if dashboards is not None:
                options.say(f"The labs' dashboards are open on port {dashboards.port}.")
            if not LIBRARIES.exists():
                click.echo("Browsers get no terminals: the JavaScript is missing (make setup fetches it).", err=True)
        options.say("Ctrl-C closes what is open.")
        await stop.wait()
    options.say("Closed.")


def _record(home: Home, events: Sequence[SessionEvent]) -> None:
    from labctl.lab import sessions
    from labctl.report import access as views

    sessions.record(home, events)
    for event in events:
        click.echo(f"{views.shown(event.team) or 'the organiser'} from {event.address}: {views.said(event)}")


def _failed(error: LabctlError) -> None:
    click.echo(message(error), err=True)


@contextlib.contextmanager
def _needed() -> Iterator[None]:
    """Say how to get what the doors need beyond labctl itself."""
    try:
        yield
    except ModuleNotFoundError as exc:
        raise LabctlError(
            "the doors need libraries that are not installed",
            details=str(exc),
            remedy="Install labctl with its extra: pip install 'labctl-openstack[classroom]'",
        ) from exc
