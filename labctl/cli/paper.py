"""Commands that draw labs and print what organisers hand out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from labctl.cli import options
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
