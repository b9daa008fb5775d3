"""The command by which the organiser tells teams something."""

from __future__ import annotations

import click

from labctl.cli import options
from labctl.errors import InputError
from labctl.state import Home


@click.command("notice")
@click.argument("text", required=False)
@options.teams(required=False)
@click.option("--take-back", "back", metavar="ID", multiple=True, help="Take this notice back; all stands for all.")
@options.output
@options.common
def notice_command(text: str | None, teams: tuple[str, ...], back: tuple[str, ...], output: str) -> None:
    """Tell teams something on their web pages, or list what they were told.

    A notice is for the teams that are named, or for all. Pages show it within two seconds, until it is taken back.

    \b
    labctl notice "Lunch is at 12:30."
    labctl notice "Your db-node is back." team03 team04
    labctl notice                                       the notices that stand
    labctl notice --take-back all
    """
    from labctl.cli.show import show
    from labctl.lab import notices
    from labctl.report import classroom as views

    home = Home()
    if back:
        if text is not None:
            raise InputError("--take-back goes without a text")
        gone = notices.take_back(home, [] if "all" in back else back)
        options.say(f"Taken back: {len(gone)}")
    elif text is not None:
        made = notices.give(home, options.expand(teams), text)
        options.say(f"Notice {made.id} is for {', '.join(made.teams) or 'all teams'}.")
    else:
        found = notices.standing(home)
        show(output, document=[views.notice_document(each) for each in found], text=views.notices_text(found))
