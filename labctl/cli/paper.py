"""Commands that draw labs and print what organisers hand out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from labctl.cli import options
from labctl.cli.exports import door_of
from labctl.errors import LabctlError
from labctl.state import Home

if TYPE_CHECKING:
    from labctl.lab.seen import Seen
    from labctl.spec.topology import Topology


def _complete_subject(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [*options.complete_team(ctx, param, incomplete), *options.complete_topology(ctx, param, incomplete)]


@click.command("diagram")
@click.argument("subject", metavar="TEAM|TOPOLOGY", shell_complete=_complete_subject)
@click.option(
    "-o",
    "--output",
    "file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it to a file.",
)
@click.option("--paper", is_flag=True, help="Light colours even on dark screens, to print it.")
@options.common
def diagram_command(subject: str, file: Path | None, paper: bool) -> None:
    """Draw a team's lab or a topology, as SVG.

    A topology is a name or a file. A team's lab is drawn with the states of its nodes and with what its last checks
    found red. This starts no check and no host. If a team has the name of a topology, its lab is drawn.

    \b
    labctl diagram gridka -o gridka.svg
    labctl diagram team01 > team01.svg
    """
    from labctl.report import diagram

    spec, seen = _subject(Home(), subject)
    picture = diagram.svg(spec, seen, dark=not paper)
    if file is None:
        click.echo(picture, nl=False)
    else:
        file.write_text(picture)
        options.say(f"{file}: written.")


@click.command("handout")
@click.argument("teams", metavar="TEAM...", nargs=-1, required=True, shell_complete=options.complete_team)
@click.option("--key", is_flag=True, help="Also write the answer key. It is for you alone.")
@click.option("--door", metavar="HOST[:PORT]", help="The classroom's SSH door, by this name and port [2222].")
@click.option(
    "--rules",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The rules to print, for teams that play in no round yet.",
)
@click.option(
    "-o",
    "--output",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("handout"),
    show_default=True,
    help="The folder to write to.",
)
@click.option("--pdf/--no-pdf", "pdf", default=None, help="Also write PDF. Default: if WeasyPrint is installed.")
@options.common
def handout_command(
    teams: tuple[str, ...], key: bool, door: str | None, rules: Path | None, folder: Path, pdf: bool | None
) -> None:
    """Write a sheet for each team, to print.

    A sheet has the names and addresses, the way in, what to do first, and the rules of a round.

    With --door, a sheet has the lines that lead in and the team's password (labctl access add).

    In a round that goes on, a sheet tells the lab that the team works on and the rules that were announced. Sheets
    say nothing about faults. With --key, answer-key.html tells everything about them: what was injected, its
    symptoms, the way to it, a repair, and the command that undoes it. Only you can read the files: sheets may contain
    the team's passwords.

    \b
    labctl handout team01..team10 --door classroom.example.org:2222
    labctl handout team01..team10 --key -o /root/monday
    """
    from labctl.lab import paper
    from labctl.report import handout
    from labctl.spec import scoring

    home = Home()
    announced = scoring.load(rules) if rules is not None else scoring.Rules()
    place = door_of(door)
    names = options.expand(teams)
    known = {team: paper.sheet(home, team, rules=announced, door=place is not None) for team in names}
    pages = {team: handout.sheet(each, place) for team, each in known.items()}
    if key:
        pages[_KEY] = handout.key(paper.answers(home, names))
    for name, page in pages.items():
        _write(folder / f"{name}.html", page)
    if pdf is not False:
        _print(folder, pages, demanded=pdf is True)


_KEY = "answer-key"


def _print(folder: Path, pages: dict[str, str], *, demanded: bool) -> None:
    """Write PDF beside the pages.

    Raises:
        LabctlError: it is demanded, and WeasyPrint is not there.
    """
    from labctl.report import handout

    for name, page in pages.items():
        try:
            printed = handout.pdf(page)
        except LabctlError as exc:
            if demanded:
                raise
            options.say(f"No PDF: WeasyPrint is not installed. {exc.remedy}")
            return
        _write(folder / f"{name}.pdf", printed)


def _write(file: Path, content: str | bytes) -> None:
    """Write a file that only its owner can read."""
    from labctl.state import write_atomically

    write_atomically(file, content)
    options.say(str(file))


def _subject(home: Home, name: str) -> tuple[Topology, Seen | None]:
    """Return the topology to draw, and what is known of the lab where a team has it.

    Raises:
        InputError: there is neither such a lab nor such a topology.
    """
    from labctl.errors import InputError
    from labctl.lab import seen
    from labctl.spec import teams, topology
    from labctl.state import records

    try:
        team = teams.validate(name)
    except InputError:
        return topology.load(name), None
    if home.lab(team).load() is not None:
        return topology.restore(records.record_of(home, team).topology), seen.seen(home, team)
    try:
        return topology.load(name), None
    except InputError as exc:
        known = ", ".join(record.team for record in home.records()) or "none"
        raise InputError(
            f"there is neither a lab nor a topology {name!r}",
            details=f"Labs: {known}. Topologies: {', '.join(topology.shipped())}.",
            remedy=exc.remedy,
        ) from exc
