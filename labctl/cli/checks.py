"""Commands that check labs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from labctl.cli import options
from labctl.errors import InputError
from labctl.state import Home

if TYPE_CHECKING:
    from labctl.checks.model import Report, Result

RED = 4
"""Exit code when a check is red."""


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from labctl.checks.check import CHECKS

    checks = [CompletionItem(check.id, help=check.title) for check in CHECKS if check.id.startswith(incomplete)]
    return [*checks, *options.complete_team(ctx, param, incomplete)]


@click.command("check")
@click.argument("words", metavar="[TEAM|ID]...", nargs=-1, shell_complete=_complete)
@click.option("--quick", is_flag=True, help="Only checks that change nothing.")
@click.option("--full", is_flag=True, help="All checks. This is the default.")
@click.option("--watch", metavar="SECONDS", type=click.IntRange(1), help="Check again and again, until Ctrl-C.")
@click.option("--junit", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Also write JUnit XML.")
@options.output
@options.common
def check_command(
    words: tuple[str, ...], quick: bool, full: bool, watch: int | None, junit: Path | None, output: str
) -> int:
    """Test labs, and name the suspects where something fails.

    Words that look like IDs (B03, C07) are checks; all others are teams or ranges. A check is BLOCKED if a check that
    it needs is red. The suspects come from the red checks that are not blocked. Exit code 4 if a check is red.

    \b
    labctl check                    the only lab there is, or that of labctl use
    labctl check team01..team10     ten labs side by side
    labctl check team01 B03 B10     these two checks
    labctl explain B03              what a check tests
    """
    from labctl.cli.show import show
    from labctl.report import checks as views

    if quick and full:
        raise InputError("--quick and --full do not go together")
    home = Home()
    ids, patterns = options.ids_and_teams(words)
    teams = options.expand(patterns) if patterns else (options.one_team(home, None),)
    while True:
        reports = _check(home, teams, ids, quick=quick)
        documents = [views.document(report) for report in reports]
        show(
            output,
            document=documents[0] if len(documents) == 1 else documents,
            text="\n\n".join(views.text(report) for report in reports),
        )
        if junit is not None:
            junit.write_text(views.junit(reports))
        if watch is None:
            return 0 if all(report.green for report in reports) else RED
        time.sleep(watch)


@click.command("explain")
@click.argument("ids", metavar="ID...", nargs=-1, required=True, shell_complete=_complete)
@options.common
def explain_command(ids: tuple[str, ...]) -> None:
    """Say what a check tests."""
    from labctl.checks.check import named
    from labctl.report import checks as views

    click.echo("\n\n".join(views.explained(each) for name in ids for each in named(name)))


def _check(home: Home, teams: tuple[str, ...], ids: tuple[str, ...], *, quick: bool) -> list[Report]:
    """Check labs side by side and return their reports, in the order of the teams."""
    from labctl.cli.labs import batched
    from labctl.lab import check, many
    from labctl.site.work import Work

    def one(work: Work, team: str) -> Report:
        def told(result: Result) -> None:
            work.progress.say(f"{team}  {result.name}  {result.verdict}")

        work.progress.say(f"{team}  is asked")
        return check.check(work, team, ids=ids, quick=quick, told=told)

    with batched(home) as batch:
        results = many.each(batch, teams, one)
    results.check()
    return [results.done[team] for team in teams]
