"""Commands that break labs on purpose, and heal them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labctl.cli import options
from labctl.cli.checks import RED
from labctl.errors import InputError
from labctl.state import Home

if TYPE_CHECKING:
    from labctl.checks.model import Report
    from labctl.lab.rounds import Seat
    from labctl.sabotage.draw import Lot
    from labctl.sabotage.ledger import Entry


class _Sabotage(click.Group):
    """A group whose first word may be a team or a fault instead of a subcommand."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = [arg for arg in args if not arg.startswith("-")]
        helps = {"-h", "--help"} & set(args)
        if not (words and words[0] in self.commands) and not (helps and not words):
            args = [_BREAK, *args]
        return super().parse_args(ctx, args)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return self.commands.get(name, self.default)

    @property
    def default(self) -> click.Command:
        """What runs when no subcommand is named."""
        return self.commands[_BREAK]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in self.commands if name != _BREAK]

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[TEAM...] --random | ID... | COMMAND")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("To break labs"):
            rows = [param.get_help_record(ctx) for param in self.default.params if isinstance(param, click.Option)]
            formatter.write_dl([row for row in rows if row is not None])
        self.format_commands(ctx, formatter)


_BREAK = "break"


@click.group("sabotage", cls=_Sabotage, no_args_is_help=False)
def sabotage_command() -> None:
    """Break labs realistically and reversibly, for teams to repair.

    --random draws a fault; an ID names one. All checks of the fault must be green before. Afterwards at least one must
    be red, and labctl must still be able to log in to every node. If not, the fault is undone at once and another is
    drawn. Several teams get different faults of equal difficulty. The answer is secret until reveal.

    \b
    labctl sabotage --random                     the only lab there is
    labctl sabotage team01..team10 --random      ten labs, equal difficulty
    labctl sabotage team01 BA-05                 this fault
    labctl sabotage status; labctl sabotage heal
    """


@sabotage_command.command(_BREAK, hidden=True)
@click.argument("words", metavar="[TEAM|ID]...", nargs=-1)
@click.option("--random", "chance", is_flag=True, help="Draw a fault.")
@click.option("--level", type=click.IntRange(1, 3), help="Draw only faults of this level.")
@click.option("--service", metavar="ROLE", default="", help="Draw only faults of this service: keystone, nova, cinder…")
@click.option("--count", type=click.IntRange(1, 5), default=1, show_default=True, help="How many faults a lab gets.")
@click.option("--seed", metavar="WORD", help="The same word draws the same faults again.")
@click.option("--same-for-all", "same", is_flag=True, help="Every lab gets the same fault.")
@click.option("--dry-run", is_flag=True, help="Show who would get what; break nothing. For the organiser only.")
@click.option(
    "--topology",
    metavar="NAME|FILE",
    default="gridka",
    show_default=True,
    shell_complete=options.complete_topology,
    help="With --dry-run: the topology of teams without a lab.",
)
@click.option(
    "--stage",
    type=click.Choice(["bare", "installed"]),
    default="bare",
    show_default=True,
    help="With --dry-run: the stage of teams without a lab.",
)
@options.output
@options.common
def break_command(
    words: tuple[str, ...],
    chance: bool,
    level: int | None,
    service: str,
    count: int,
    seed: str | None,
    same: bool,
    dry_run: bool,
    topology: str,
    stage: str,
    output: str,
) -> None:
    """Break labs."""
    from labctl.cli.show import show
    from labctl.lab import rounds, sabotage
    from labctl.lab.sabotage import Drawing
    from labctl.report import sabotage as views

    ids, patterns = options.ids_and_teams(words)
    if bool(ids) == chance:
        raise InputError("which fault?", remedy="Use --random, or name one: labctl sabotage list.")
    home = Home()
    teams = options.expand(patterns) if patterns else (options.one_team(home, None),)
    if dry_run:
        from labctl.lab import provisional
        from labctl.spec.topology import load

        plans = provisional.plans(home, teams, load(topology), stage=stage, host=None)
        lots = sabotage.draw_lots(home, plans, Drawing(level=level, seed=seed, same=same, ids=ids, service=service))
        show(output, document=[views.lot_document(lot) for lot in lots], text=views.lots(lots))
        return
    rounds.refuse_played(home, teams)
    injected: list[tuple[Lot, Entry]] = []
    for turn in range(1 if ids else count):
        word = f"{seed}#{turn}" if seed and turn else seed
        plans = sabotage.plans_of(home, teams)
        lots = sabotage.draw_lots(home, plans, Drawing(level=level, seed=word, same=same, ids=ids, service=service))
        injected += _inject(home, teams, lots)
    documents = [{"team": lot.team, **views.status_document(lot.team, [entry])["faults"][0]} for lot, entry in injected]
    lines = [
        f'{lot.team}: broken: "{entry.title}" (level {entry.level}). labctl sabotage hint|reveal|heal {lot.team}'
        for lot, entry in injected
    ]
    if output != "table":
        show(output, document=documents, text="")
    else:
        options.say("\n".join(lines))


@sabotage_command.command("list")
@options.output
@options.common
def list_command(output: str) -> None:
    """List the faults, without spoilers."""
    from labctl.cli.show import show
    from labctl.report import sabotage as views
    from labctl.sabotage.fault import FAULTS

    found = list(FAULTS)
    show(output, document=[views.fault_document(fault) for fault in found], text=views.faults(found))


@sabotage_command.command("status")
@options.teams(required=False)
@options.output
@options.common
def status_command(teams: tuple[str, ...], output: str) -> None:
    """Show which faults labs have and how far their repair is, without spoilers."""
    from labctl.cli.show import show
    from labctl.lab import sabotage
    from labctl.report import sabotage as views
    from labctl.sabotage.ledger import NEVER
    from labctl.state import records

    home = Home()
    found = {}
    for team in _teams(home, teams):
        records.record_of(home, team)
        entries = sabotage.Ledger(home.lab(team)).entries()
        found[team] = [entry for entry in entries if entry.state not in NEVER]
    show(
        output,
        document=[views.status_document(team, entries) for team, entries in found.items()],
        text="\n\n".join(views.status(team, entries) for team, entries in found.items()),
    )


@sabotage_command.command("hint")
@click.argument("team", metavar="[TEAM]", required=False, shell_complete=options.complete_team)
@click.option(
    "--fault",
    "number",
    metavar="N",
    type=click.IntRange(1, 9),
    help="The fault of the round that it is for, by its number.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask, whatever it costs.")
@options.common
def hint_command(team: str | None, number: int | None, yes: bool) -> None:
    """Print the next of three hints about a fault, and record that it was taken.

    In a round TEAM is the team that plays, and a hint has a price, which is told before; on a terminal labctl asks.
    `labctl hint` is the same command.
    """
    from labctl.lab import rounds, sabotage

    home = Home()
    name = options.one_team(home, team)
    if (seat := rounds.seat_of(home, name)) is not None:
        _hint_in_round(home, seat, number, yes=yes)
        return
    given = sabotage.hint(home, name)
    if given is None:
        click.echo(f"{name}: all hints were given.")
        return
    entry, text = given
    click.echo(f'{name}: "{entry.title}", hint {entry.taken + 1} of {len(entry.hints)}: {text}')


@sabotage_command.command("reveal")
@click.argument("team", metavar="[TEAM]", required=False, shell_complete=options.complete_team)
@options.output
@options.common
def reveal_command(team: str | None, output: str) -> None:
    """Show what is broken in a lab, where, and how to repair it. For the organiser only."""
    from labctl.cli.show import show
    from labctl.lab import sabotage
    from labctl.report import sabotage as views

    home = Home()
    entries = sabotage.standing(home, options.one_team(home, team))
    show(
        output,
        document=[views.reveal_document(entry) for entry in entries],
        text="\n\n".join(map(views.revealed, entries)),
    )


@sabotage_command.command("heal")
@click.argument("words", metavar="[TEAM|ID]...", nargs=-1)
@click.option("--quick", is_flag=True, help="Check afterwards only what can be checked without changing anything.")
@options.common
def heal_command(words: tuple[str, ...], quick: bool) -> int:
    """Undo faults in labs, then check the labs.

    If a team has changed what the fault changed, heal keeps the team's work and reports that. A second heal does no
    harm. Exit code 4 if a check is red afterwards.
    """
    home = Home()
    ids, patterns = options.ids_and_teams(words)
    return 0 if heal_labs(home, _teams(home, patterns), ids, quick=quick) else RED


def heal_labs(home: Home, teams: Sequence[str], ids: Sequence[str] = (), *, quick: bool = False) -> bool:
    """Heal labs one after the other and tell about each; return whether all checks, or the quick ones, are green."""
    from labctl.report import checks as views

    green = True
    for team in teams:
        done, report = _heal(home, team, ids, quick=quick)
        for entry in done:
            for note in entry.notes:
                options.say(f"{team}: {note}")
        if not done:
            options.say(f"{team}: there is nothing to heal.")
        which = "quick checks" if quick else "checks"
        options.say(f"{team}: all {which} are green." if report.green else views.text(report))
        green &= report.green
    return green


@sabotage_command.command("verify")
@click.argument("words", metavar="[TEAM] [ID]...", nargs=-1)
@click.option(
    "--resume",
    is_flag=True,
    help="Skip what an earlier run has verified in this lab, and what FILE says of labs like it.",
)
@click.option("--service", metavar="ROLE", default="", help="Try faults of this service alone.")
@click.option(
    "--matrix",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Merge what was seen into this file (JSON). Only what it says was seen to work is drawn at random.",
)
@options.output
@options.common
def verify_command(words: tuple[str, ...], resume: bool, service: str, matrix: Path | None, output: str) -> int:
    """Try every fault on a running lab: its effect, its repair, its undo.

    For each fault: the checks are green; inject; one of its checks is red; type the reference repair in the node; the
    checks are green, also after a restart of what was touched; inject again; heal; every file, owner, mode and time is
    as before; the checks are green. An alternative repair must count as well, a cheat must not. These are the checks
    that the fault names; after every eighth fault, all checks must be green that change nothing. Every fault is tried
    once, those that take longest last; then come their other variants. Exit code 1 if a fault does not do what it says.
    """
    from labctl.cli.labs import batched, breaking
    from labctl.cli.show import show
    from labctl.lab import many, verify
    from labctl.report import matrix as views

    home = Home()
    ids, patterns = options.ids_and_teams(words)
    team = options.one_of(patterns) if patterns else options.one_team(home, None)
    wanted = verify.Wanted(ids=ids, service=service, resume=resume, matrix=matrix)
    with breaking(home, [team]), batched(home) as batch:  # in a thread, which heals before an interrupt ends it
        results = many.each(batch, [team], partial(verify.verify, wanted=wanted))
    results.check()
    found = results.done[team]
    show(output, document=[views.document(each) for each in found], text=views.text(found))
    return 0 if all(each.ok for each in found) else 1


@sabotage_command.command("lint")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@options.common
def lint_command(files: tuple[Path, ...]) -> int:
    """List what is missing in the file of a fault."""
    from labctl.lab import fault_files

    found = [f"{file}: {problem}" for file in files for problem in fault_files.problems(file)]
    click.echo("\n".join(found) if found else "Nothing is missing.")
    return 2 if found else 0


def _hint_in_round(home: Home, seat: Seat, number: int | None, *, yes: bool) -> None:
    """Offer the next hint, and give it to who takes it; a drill looks like any other round."""
    from labctl.lab import rounds

    offer = rounds.offer(home, seat, number)
    if offer is None:
        click.echo(f"{seat.player}: there is no hint left{f' for fault {number}' if number else ''}.")
        return
    what = f"hint {offer.number} for fault {offer.slot}"
    if not yes and sys.stdin.isatty():
        options.confirm(f"{seat.player}: {what} costs {offer.price} points. Take it?", no="No hint was taken.")
    rounds.take(home, seat, offer)
    click.echo(f"{seat.player}: {what}, {offer.price} points: {offer.text}")


def _teams(home: Home, patterns: Sequence[str]) -> tuple[str, ...]:
    return options.expand(patterns) if patterns else (options.one_team(home, None),)


def _inject(home: Home, teams: Sequence[str], lots: Sequence[Lot]) -> list[tuple[Lot, Entry]]:
    """Inject side by side, one lab's faults one after the other."""
    from labctl.cli.labs import batched, breaking
    from labctl.lab import many, sabotage
    from labctl.site.work import Work

    done: list[tuple[Lot, Entry]] = []

    def one(work: Work, team: str) -> None:
        for lot in lots:
            if lot.team == team:
                done.append((lot, sabotage.inject(work.again(), lot)))

    with breaking(home, teams), batched(home) as batch:
        many.each(batch, teams, one).check()
    return sorted(done, key=lambda pair: pair[0].team)


def _heal(home: Home, team: str, ids: Sequence[str], *, quick: bool) -> tuple[list[Entry], Report]:
    from labctl.cli.labs import site_of, working
    from labctl.lab import sabotage

    with site_of(home, team) as place, working(home, place) as work:
        return sabotage.heal(work, team, ids=ids, quick=quick)
