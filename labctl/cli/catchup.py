"""The command that gives a team which fell behind the state after a chapter."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from labctl.cli import options
from labctl.cli.labs import batched
from labctl.cli.show import show
from labctl.state import Home

if TYPE_CHECKING:
    from labctl.sets.manifest import GoldenManifest


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the chapters, and the end."""
    end = [CompletionItem("installed", help="After the last chapter")] if "installed".startswith(incomplete) else []
    return [*options.complete_role(ctx, param, incomplete), *end]


@click.command("catchup")
@options.teams(required=True)
@click.option(
    "--to",
    required=True,
    metavar="ROLE|installed",
    shell_complete=_complete,
    help="The chapter's role, glance for instance; installed: after the last chapter.",
)
@click.option("--dry-run", is_flag=True, help="Print what the labs would keep and lose; change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options.overcommit
@options.jobs
@options.output
@options.common
def catchup_command(
    teams: tuple[str, ...], to: str, dry_run: bool, yes: bool, overcommit: bool, jobs: int | None, output: str
) -> None:
    """Give labs the state after a chapter, from a golden set.

    All nodes of a lab are made anew from the newest golden set that was captured after that chapter, and continue from
    its memory: it takes as long as a reset. labctl golden capture TEAM --until ROLE makes such a set. It prints what a
    lab keeps and what it loses, and on a terminal it asks once.

    \b
    labctl catchup team03 --to glance
    labctl catchup team03 --to glance --dry-run
    """
    from labctl.lab import catchup, many
    from labctl.lab.decisions import Starting
    from labctl.site.work import Work
    from labctl.state import records

    home = Home()
    names = options.expand(teams)

    def say(work: Work, team: str) -> list[str]:
        record = records.record_of(home, team)
        return catchup.said(work.site, record, catchup.target(work.site, record, to))

    def do(work: Work, team: str) -> GoldenManifest:
        how = Starting(overcommit=overcommit or work.site.settings.overcommit)
        return catchup.catch_up(work, team, to, how)

    with batched(home, jobs) as batch:
        known = many.each(batch, names, say)
        known.check()
    click.echo("\n\n".join("\n".join(lines) for lines in known.done.values()), err=not dry_run)
    if dry_run:
        click.echo("Nothing was done.")
        return
    if not yes and sys.stdin.isatty():
        options.confirm(f"Take {', '.join(names)} there?", no="Nothing was done.")
    with batched(home, jobs) as batch:
        results = many.each(batch, names, do)
    document = [
        {"team": team, "stage": golden.stage_name, "golden": golden.name, "golden_id": golden.id}
        for team, golden in results.done.items()
    ]
    lines = [f"{each['team']}: the lab stands {each['stage']}. labctl status {each['team']}" for each in document]
    show(output, document=document, text="\n".join(lines))
    results.check()
