"""The command that tells what happens in a classroom."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labctl.cli import options
from labctl.cli.errors import message
from labctl.errors import InputError
from labctl.state import Home

if TYPE_CHECKING:
    from labctl.lab.feed import Happened


@click.command("events")
@options.teams(required=False)
@click.option("--post", "url", metavar="URL", help="Post each event to this address as it happens, until Ctrl-C.")
@click.option(
    "--secret",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the secret that signs what is posted (whsec_...). Default: one that labctl makes.",
)
@click.option("--all", "start", is_flag=True, help="The first time, also post what happened before.")
@click.option("--once", is_flag=True, help="Post what there is, then end.")
@click.option(
    "--view",
    type=click.Choice(["organiser", "public"]),
    help="Who may see it: public leaves out faults, checks, reports.  [default: organiser; with --post public]",
)
@options.output
@options.common
def events_command(
    teams: tuple[str, ...],
    url: str | None,
    secret: Path | None,
    start: bool,
    once: bool,
    view: str | None,
    output: str,
) -> None:
    """Print what happened in rounds and whose hands went up, or post it to a web address.

    Posting never makes a round wait. An event that the receiver does not take is posted again, at longer and longer
    intervals; the next ones wait for it. The next run with the same URL goes on where this one ended. Events are JSON,
    signed as the Standard Webhooks specification says.

    \b
    labctl events -o json
    labctl events --post https://chat.example.org/hooks/labctl
    labctl events team01..team10 --post https://dashboard.example.org/labctl --view organiser --all
    """
    from labctl.lab import feed, webhook
    from labctl.report import feed as views

    home, wanted = Home(), set(options.expand(teams))
    if url is None and (secret or start or once):
        raise InputError("--secret, --all and --once are for --post")
    eyes = view or ("organiser" if url is None else "public")

    def document(happened: Happened) -> dict[str, Any] | None:
        return views.document(happened, eyes) if not wanted or happened.team in wanted else None

    if url is None:
        from labctl.cli.show import show

        news = feed.Feed(home, {}, failed=lambda error: click.echo(message(error), err=True)).news()
        documents = [found for happened in news if (found := document(happened)) is not None]
        show(output, document=documents, text=views.text(documents))
        return
    file = secret or webhook.own_secret(home)
    target = webhook.hook(url, file.read_text())
    options.say(f"Events are posted to {target.shown}, signed with the secret in {file}. Ctrl-C ends it.")
    webhook.deliver(home, target, document, told=options.say, how=webhook.Posting(start=start, once=once))
