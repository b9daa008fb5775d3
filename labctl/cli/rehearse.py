"""The command that rehearses a workshop's day."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labctl.cli import options
from labctl.errors import InputError
from labctl.state import Home

if TYPE_CHECKING:
    from labctl.lab.rehearse import Rehearsal


@click.command("rehearse")
@click.argument("topology", metavar="TOPOLOGY", shell_complete=options.complete_topology)
@click.option(
    "--teams", "labs", type=click.IntRange(1, 20), default=2, show_default=True, help="How many labs to rehearse with."
)
@click.option("--class", "teams", type=click.IntRange(1, 99), help="How many teams will come.  [default: --teams]")
@click.option(
    "--faults", type=click.IntRange(0, 20), default=5, show_default=True, help="How many rounds, each with its fault."
)
@click.option(
    "--quick", is_flag=True, help="Boot no servers: of the checks of a cloud, only those that change nothing."
)
@click.option(
    "--stage", type=click.Choice(["bare", "installed"]), default="bare", show_default=True, help="Of the labs."
)
@click.option(
    "--from",
    "golden",
    metavar="NAME|ID",
    shell_complete=options.complete_golden,
    help="The golden set to make the labs from. Default: the newest one that matches.",
)
@click.option("--cold", is_flag=True, help="Boot the nodes even if a golden set has their memory.")
@click.option("--seed", metavar="WORD", help="The same word draws the same faults again.")
@click.option(
    "--rules",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Rules of your own for the rounds.",
)
@click.option(
    "--minutes",
    type=click.IntRange(1, 1440),
    default=45,
    show_default=True,
    help="How long a round of the class lasts.",
)
@click.option("--start", metavar="HH:MM", default="09:00", show_default=True, help="When the class begins.")
@click.option(
    "--runbook",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("handout"),
    show_default=True,
    help="Where to write runbook.md and runbook.html.",
)
@options.jobs
@options.host
@options.output
@options.common
def rehearse_command(
    topology: str,
    labs: int,
    teams: int | None,
    faults: int,
    quick: bool,
    stage: str,
    golden: str | None,
    cold: bool,
    seed: str | None,
    rules: Path | None,
    minutes: int,
    start: str,
    runbook: Path,
    jobs: int | None,
    host: str | None,
    output: str,
) -> int:
    """Rehearse a workshop's day on this host: GO or NO-GO, and a runbook.

    It sees whether the labs of all teams fit. It makes labs, checks them, and plays a round with each fault: open,
    hint, report, the reference repair, close, score, heal. Then it resets a node, saves a lab and goes back, and
    removes the labs. NO-GO if anything does not work, each with its reason; exit code 1.

    The labs are named rehearsal-01 and so on. They are removed after a failure and after Ctrl-C too. If the rehearsal
    was killed, the next one removes them. After a GO, runbook.md and runbook.html say what to type when, minute by
    minute, from the times that were measured.

    \b
    labctl rehearse mini --faults 1
    labctl rehearse gridka --stage installed --class 3 --start 10:00
    """
    import uuid

    from labctl.cli.labs import working
    from labctl.cli.show import show
    from labctl.lab import rehearse
    from labctl.lab.decisions import Choice
    from labctl.report import rehearsal as views
    from labctl.roles import fit
    from labctl.site import site
    from labctl.spec import scoring

    begins = _moment(start)
    day = rehearse.Day(
        choice=Choice(topology=fit.load(topology), stage=stage, golden=golden, cold=cold),
        labs=labs,
        teams=teams or labs,
        faults=faults,
        quick=quick,
        seed=seed or uuid.uuid4().hex[:8],
        rules=scoring.load(rules) if rules is not None else scoring.Rules(),
        minutes=minutes,
    )
    home = Home()
    with site.opened(home, host) as place, working(home, place, jobs) as work:
        seen = rehearse.rehearse(work, day)
    show(output, document=views.document(seen), text=views.text(seen))
    if seen.go:
        _write(runbook, seen, begins)
    return 0 if seen.go else 1


def _write(folder: Path, seen: Rehearsal, start: datetime) -> None:
    from labctl.report import rehearsal as views
    from labctl.state import write_atomically

    for name, content in (("runbook.md", views.markdown(seen, start)), ("runbook.html", views.page(seen, start))):
        write_atomically(folder / name, content)
        click.echo(f"Written: {folder / name}", err=True)


def _moment(text: str) -> datetime:
    """Return a time of day.

    Raises:
        InputError: it is none.
    """
    try:
        return datetime.strptime(text, "%H:%M")
    except ValueError as exc:
        raise InputError(f"{text!r} is no time of day", remedy="Say it as 09:00.") from exc
