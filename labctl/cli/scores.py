"""The command that scores a round."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labctl.cli import options
from labctl.cli.labs import batched
from labctl.cli.rounds import PLAYERS, RULES, expanded, rules_of
from labctl.errors import InputError
from labctl.state import Home

if TYPE_CHECKING:
    from labctl.report.rounds import Board


@click.command("score")
@PLAYERS
@click.option("--no-check", "checks", flag_value=False, default=True, type=bool, help="Run no checks first.")
@click.option("--freeze", metavar="HH:MM", help="From this time on, teams and the public see nothing new.")
@click.option("--reveal", is_flag=True, help="Let them see everything again.")
@click.option("--replay", is_flag=True, help="Recompute a round from its events; touch no lab.")
@RULES
@click.option("--round", "name", metavar="ID", help="An older round. Default: the one that was opened last.")
@click.option(
    "--view",
    type=click.Choice(["organiser", "team", "public"]),
    default="organiser",
    show_default=True,
    help="Who may see the output.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml", "csv", "junit", "ctftime"]),
    default="table",
    show_default=True,
    help="How to print.",
)
@options.common
def score_command(
    teams: tuple[str, ...],
    checks: bool,
    freeze: str | None,
    reveal: bool,
    replay: bool,
    rules: Path | None,
    name: str | None,
    view: str,
    output: str,
) -> None:
    """Check the labs of a round, and print how many points each team has.

    Points follow from the round's events and its rules alone: --replay computes the same points again, and other points
    with --rules. A repair counts when two checks have seen it, a while apart. Teams and the public never see which
    faults there are. Until the end they do not see what points were for.
    """
    from labctl.lab import closing, rounds
    from labctl.report import rounds as views

    if rules is not None and not replay:
        raise InputError("--rules goes with --replay", remedy="The rules of a round are announced when it is opened.")
    if freeze and reveal:
        raise InputError("--freeze and --reveal do not go together")
    home = Home()
    every = rounds.seats(home, of=name)
    players = expanded(teams)
    some = rounds.chosen(every, players)
    if view == "team" and not players:
        raise InputError("whose score?", remedy="Name the team that looks: labctl score team01 --view team.")
    if freeze:
        rounds.freeze(home, every, _moment(freeze, max(seat.opened.at for seat in every)))
    elif reveal:
        rounds.reveal(home, every)
    elif checks and not replay:
        with batched(home) as batch:
            closing.look(batch, some)
    again = rounds.seats(home, of=every[0].opened.round)
    _show_scores(views.board(again, players, view, rules_of(rules) if rules else None), output)


def _show_scores(board: Board, output: str) -> None:
    from labctl.cli.show import show
    from labctl.report import rounds as views

    if output in ("csv", "junit"):
        click.echo(views.csv_text(board) if output == "csv" else views.junit(board))
    elif output == "ctftime":
        show("json", document=views.ctftime(board), text="")
    else:
        show(output, document=views.document(board), text=views.text(board))


def _moment(text: str, opened: float) -> float:
    """Return the moment of a round that the words HH:MM name, in seconds since 1970; the round may go past midnight.

    Args:
        opened: when the round was opened.

    Raises:
        InputError: they name none, or one before the round.
    """
    try:
        clock = datetime.strptime(text, "%H:%M").time()
    except ValueError as exc:
        raise InputError(f"{text!r} is no time of day", remedy="Say it as 16:30.") from exc
    start = datetime.fromtimestamp(opened)
    moment = datetime.combine(start.date(), clock)
    if moment < start:
        moment += timedelta(days=1)
    if moment - start > timedelta(hours=12):
        raise InputError(f"{text} was before the round", remedy="Name a moment in the twelve hours after its opening.")
    return moment.timestamp()
