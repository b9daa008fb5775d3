"""Commands about rounds: a clock, notes, reports."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from labctl.cli import options
from labctl.cli.group import Group
from labctl.cli.labs import batched, breaking
from labctl.errors import InputError, LabctlError
from labctl.state import Home

if TYPE_CHECKING:
    from labctl.lab.opening import Setup
    from labctl.lab.rounds import Seat
    from labctl.spec.scoring import Rules

RULES = click.option(
    "--rules", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Rules of your own."
)


def _complete_service(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from labctl.lab import rounds
    from labctl.state import records

    try:
        seat = rounds.going_on(Home(), [ctx.params["team"]])[0]
        names = rounds.services(records.lab_of(Home(), seat.lab).plan)
    except (LabctlError, KeyError):
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _complete_player(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from labctl.lab import rounds

    try:
        players = [seat.player for seat in rounds.seats(Home())]
    except LabctlError:
        return []
    return [CompletionItem(name) for name in players if name.startswith(incomplete)]


PLAYERS = click.argument("teams", metavar="[TEAM]...", nargs=-1, shell_complete=_complete_player)


@click.group("round", cls=Group)
def round_command() -> None:
    """Play rounds: broken labs, a clock, and points.

    In these commands TEAM is the team that plays, on its own lab or on another team's. In commands about labs (check,
    reset, sabotage) TEAM is the lab's own team.

    \b
    labctl round open team01..team10 --random --swap
    labctl report team01 --suspect chrony --node node-1 --symptom B05
    labctl hint team01; labctl score; labctl round close
    """


@round_command.command("open")
@click.argument("words", metavar="TEAM... [ID]...", nargs=-1, required=True, shell_complete=options.complete_team)
@click.option("--random", "chance", is_flag=True, help="Draw faults; now and then nothing is broken.")
@click.option("--drill", is_flag=True, help="Break nothing. A team that reports this wins.")
@click.option("--count", type=click.IntRange(1, 5), default=1, show_default=True, help="How many faults a lab gets.")
@click.option("--level", type=click.IntRange(1, 3), help="Draw only faults of this level.")
@click.option("--seed", metavar="WORD", help="The same word draws the same faults again.")
@click.option("--same-for-all", "same", is_flag=True, help="Every lab gets the same faults.")
@click.option("--minutes", type=click.IntRange(1, 1440), default=45, show_default=True, help="How long it lasts.")
@click.option("--swap", is_flag=True, help="Teams work on one another's labs.")
@RULES
@click.option("--dry-run", is_flag=True, help="Show who would get what; change nothing. For the organiser only.")
@options.output
@options.common
def open_command(
    words: tuple[str, ...],
    chance: bool,
    drill: bool,
    count: int,
    level: int | None,
    seed: str | None,
    same: bool,
    minutes: int,
    swap: bool,
    rules: Path | None,
    dry_run: bool,
    output: str,
) -> None:
    """Open a round: check labs, break them, and start the clock for all teams at once.

    A round runs the checks that change nothing, and those that its faults name. Checks that are red before anything is
    broken cost no points. After the faults the checks run again: checks that turned red belong to the faults. A lab
    that is in a round already, or has a fault already, is refused. If a lab cannot be broken, no clock starts.
    """
    from labctl.lab.opening import Setup

    ids, patterns = options.ids_and_teams(words)
    if not patterns:
        raise InputError("which teams?", remedy="labctl round open team01..team10 --random")
    if (bool(ids), chance, drill).count(True) != 1:
        raise InputError("which fault?", remedy="Say --random, or --drill, or name faults: labctl sabotage list.")
    made = {"seed": seed} if seed else {}
    setup = Setup(
        teams=options.expand(patterns),
        ids=ids,
        count=count,
        drill=drill,
        level=level,
        same=same,
        minutes=minutes,
        swap=swap,
        rules=rules_of(rules),
        **made,
    )
    home = Home()
    if dry_run:
        _dry_run(home, setup, output)
        return
    opened = _open(home, setup)
    now = time.time()
    if output == "table":
        options.say("\n".join(_opening(seat) for seat in opened))
    else:
        _show_status(opened, now, output)


@round_command.command("status")
@PLAYERS
@options.output
@options.common
def status_command(teams: tuple[str, ...], output: str) -> None:
    """Show rounds and how much time is left, without spoilers: those that are open, else the last one."""
    from labctl.lab import rounds

    home = Home()
    try:
        every = rounds.going_on(home)
    except InputError:
        every = rounds.seats(home)
    _show_status(rounds.chosen(every, expanded(teams)), time.time(), output)


@round_command.command("close")
@PLAYERS
@click.option(
    "--no-check", "checks", flag_value=False, default=True, type=bool, help="Run no checks: score what was seen last."
)
@click.option("--heal", is_flag=True, help="Afterwards undo the faults that are still in the labs.")
@options.common
def close_command(teams: tuple[str, ...], checks: bool, heal: bool) -> None:
    """End rounds, and check the labs for the last time.

    Nobody may work in the labs from now on. The checks run. If a repair must be seen twice, they run again after a
    while. Then the units that the faults touched are restarted, because a lasting repair brings points too. An
    interrupted close is completed by the next one.
    """
    from labctl.cli.sabotage import heal_labs
    from labctl.lab import closing, rounds

    home = Home()
    some = rounds.going_on(home, expanded(teams))
    with batched(home) as batch:
        closing.close(batch, some, checks=checks)
    options.say("\n".join(f"{seat.player}: closed. labctl score {seat.player}" for seat in some))
    if heal:
        heal_labs(home, [seat.lab for seat in some], quick=True)


@round_command.command("note")
@click.argument("text", metavar="TEXT")
@click.option("-t", "--team", "teams", metavar="TEAM", multiple=True, shell_complete=_complete_player, help="For one.")
@options.common
def note_command(text: str, teams: tuple[str, ...]) -> None:
    """Record a note in open rounds; it changes no points."""
    from labctl.lab import rounds

    noted = rounds.note(Home(), expanded(teams), text)
    options.say(f"Noted for {', '.join(seat.player for seat in noted)}.")


@round_command.command("pause")
@PLAYERS
@click.option("--reason", metavar="TEXT", default="", help="Why, for the record.")
@options.common
def pause_command(teams: tuple[str, ...], reason: str) -> None:
    """Stop the clock of open rounds, for an outage that is not the teams' fault."""
    from labctl.lab import rounds

    _said(rounds.pause(Home(), expanded(teams), reason), "has stopped", "No clock runs.")


@round_command.command("resume")
@PLAYERS
@options.common
def resume_command(teams: tuple[str, ...]) -> None:
    """Start stopped clocks again."""
    from labctl.lab import rounds

    _said(rounds.resume(Home(), expanded(teams)), "runs again", "No clock is stopped.")


@round_command.command("rules")
@options.common
def rules_command() -> None:
    """Print the rules that labctl has, as a file to edit for --rules."""
    from labctl.spec import scoring

    click.echo(scoring.text_of(scoring.Rules()), nl=False)


@click.command("report")
@click.argument("team", metavar="TEAM", shell_complete=_complete_player)
@click.option("--suspect", "service", metavar="SERVICE", default="", shell_complete=_complete_service, help="What.")
@click.option("--node", metavar="NODE", default="", help="Where.")
@click.option("--symptom", metavar="CHECK", default="", help="A check that shows it, B05.")
@click.option("--nothing", is_flag=True, help="Nothing is broken.")
@options.common
def report_command(team: str, service: str, node: str, symptom: str, nothing: bool) -> None:
    """Record what a team says is broken.

    Nobody is told whether it is right; a wrong one costs.

    Several reports may be made: the best answer for each fault counts.

    \b
    labctl report team01 --suspect chrony --node node-1 --symptom B05
    labctl report team01 --nothing
    """
    from labctl.lab import rounds

    home = Home()
    said = rounds.Diagnosis(service=service, node=node, symptom=symptom, nothing=nothing)
    left = rounds.report(home, options.one_of([team]), said)
    options.say(f"{team}: noted." if left else f"{team}: noted, but time is up: it does not count.")


def _open(home: Home, setup: Setup) -> list[Seat]:
    from labctl.lab import opening

    with breaking(home, list(setup.labs.values())), batched(home) as batch:
        return opening.open_round(batch, setup)


def _dry_run(home: Home, setup: Setup, output: str) -> None:
    from labctl.cli.show import show
    from labctl.lab import opening
    from labctl.report import sabotage as views

    lots = opening.lots(home, setup)
    lines = [f"{player} works on the lab of {lab}." for player, lab in sorted(setup.labs.items())]
    lines += ["", views.lots(lots) if lots else "A drill: nothing would be broken.", "", "Nothing was done."]
    show(
        output,
        document={"labs": setup.labs, "seed": setup.seed, "lots": [views.lot_document(lot) for lot in lots]},
        text="\n".join(lines),
    )


def _opening(seat: Seat) -> str:
    end = datetime.fromtimestamp(seat.events[-1].at + seat.opened.minutes * 60).strftime("%H:%M")
    whose = "its own lab" if seat.lab == seat.player else f"the lab of {seat.lab}"
    return f"{seat.player}: works on {whose} until {end}. Round {seat.opened.round}."


def _show_status(some: Sequence[Seat], now: float, output: str) -> None:
    from labctl.cli.show import show
    from labctl.report import rounds as views

    show(output, document=[views.status_document(seat, now) for seat in some], text=views.status(some, now))


def rules_of(file: Path | None) -> Rules:
    """Return the rules of a file, or labctl's own."""
    from labctl.spec import scoring

    return scoring.load(file) if file is not None else scoring.Rules()


def expanded(teams: Sequence[str]) -> tuple[str, ...]:
    """Return the names of teams that words name; none for no words."""
    return options.expand(teams) if teams else ()


def _said(some: Sequence[Seat], how: str, none: str) -> None:
    options.say("\n".join(f"{seat.player}: the clock {how}." for seat in some) or none)
