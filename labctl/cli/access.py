"""Commands about who may come in by the classroom's door."""

from __future__ import annotations

from typing import TextIO

import click

from labctl.cli import options
from labctl.cli.group import Group
from labctl.cli.show import show
from labctl.errors import InputError
from labctl.state import Home


@click.group("access", cls=Group)
def access_command() -> None:
    """Say who may come in by the classroom's door, and who came."""


@access_command.command("add")
@options.teams(required=True)
@click.option("--key", "file", type=click.File(), help="Add the public keys in this file too; - is standard input.")
@options.common
def add(teams: tuple[str, ...], file: TextIO | None) -> None:
    """Let teams in, each with a password of its own.

    A team that has a password keeps it. --key takes a file as in ~/.ssh/authorized_keys: one public key a line.

    \b
    labctl access add team01..team20
    labctl access add team01 --key ada.pub
    """
    from labctl.lab import access
    from labctl.report import access as views

    lines = file.read() if file else ""
    if file and not access.read_keys(lines):
        raise InputError(f"{file.name} has no key")
    given = [access.give(Home(), team, lines) for team in options.expand(teams)]
    click.echo(views.access_table(given, passwords=True))


@access_command.command("link")
@click.argument("team", required=False, shell_complete=options.complete_team)
@click.option(
    "--door", "door", metavar="HOST[:PORT]", default="localhost", help="Name and port of the web pages [8443]."
)
@click.option("--hours", type=click.IntRange(1, 24 * 30), default=12, show_default=True, help="When it expires.")
@options.common
def link(team: str | None, door: str, hours: int) -> None:
    """Print a link that lets a browser in: a team, or the organiser if no team is named.

    Whoever has the organiser's link sees all teams and can reset nodes.
    """
    from labctl.lab import passes

    whose = options.one_of([team]) if team else passes.ORGANISER
    token = passes.issue(Home(), whose, passes.LINK, seconds=hours * 3600)
    host, port = options.place(door, port=8443)
    click.echo(f"https://{f'[{host}]' if ':' in host else host}:{port}/in/{token}")


@access_command.command("list")
@options.output
@options.common
def list_(output: str) -> None:
    """List the teams that may come in, without their passwords."""
    _show(Home(), (), output, passwords=False)


@access_command.command("log")
@options.teams(required=False)
@options.output
@options.common
def log(teams: tuple[str, ...], output: str) -> None:
    """Show who came in, when, from where and where to.

    What people typed and read is not on record.
    """
    from labctl.lab import sessions
    from labctl.report import access as views

    events = sessions.read(Home(), options.expand(teams))
    text = views.events_table(events) if events else "Nobody came to the door."
    show(output, document=[views.event_document(event) for event in events], text=text)


@access_command.command("remove")
@options.teams(required=True)
@click.option("--key", "fingerprint", metavar="FINGERPRINT", help="Only this key; access show prints fingerprints.")
@options.common
def remove(teams: tuple[str, ...], fingerprint: str | None) -> None:
    """Let teams in no more, or take one of their keys away.

    Connections of a team that has no access end within seconds.
    """
    from labctl.lab import access

    for team in options.expand(teams):
        access.remove(Home(), team, fingerprint)
        options.say(f"{team}: the key is removed." if fingerprint else f"{team} is let in no more.")


@access_command.command("renew")
@options.teams(required=True)
@options.common
def renew(teams: tuple[str, ...]) -> None:
    """Give teams new passwords; the old ones open nothing any more."""
    from labctl.lab import access
    from labctl.report import access as views

    click.echo(views.access_table([access.renew(Home(), team) for team in options.expand(teams)], passwords=True))


@access_command.command("show")
@options.teams(required=False)
@options.output
@options.common
def show_(teams: tuple[str, ...], output: str) -> None:
    """Show the passwords and keys of teams; of all, if none is named."""
    _show(Home(), teams, output, passwords=True)


def _show(home: Home, teams: tuple[str, ...], output: str, *, passwords: bool) -> None:
    from labctl.lab import access
    from labctl.report import access as views

    found = [access.known(home, team) for team in options.expand(teams)] if teams else access.every(home)
    text = views.access_table(found, passwords=passwords) if found else "No team has access. labctl access add TEAM"
    show(output, document=[views.access_document(each, password=passwords) for each in found], text=text)
