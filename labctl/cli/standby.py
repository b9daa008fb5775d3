"""The command that keeps a pool of labs which wait for teams."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from labctl.cli import options
from labctl.state import Home

if TYPE_CHECKING:
    from labctl.lab.decisions import Choice
    from labctl.site.site import Site


@click.command("standby")
@click.argument("number", metavar="N", type=click.IntRange(0, 100))
@click.option(
    "--from",
    "golden",
    metavar="NAME|ID",
    shell_complete=options.complete_golden,
    help="The golden set to fork them from. Default: the newest one with memory of the topology and stage.",
)
@options.topology
@options.stage
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
@options.overcommit
@options.jobs
@options.trace
@options.host
@options.output
@options.common
def standby_command(
    number: int,
    golden: str | None,
    topology: str | None,
    stage: str | None,
    dry_run: bool,
    overcommit: bool,
    jobs: int | None,
    host: str | None,
    output: str,
) -> None:
    """Keep labs that wait for teams: forks that are ready, and paused.

    After this, N labs wait. create takes one for a new lab of the same set, which is there in seconds. Run standby
    again to fill the pool up; with a smaller N it removes labs. standby 0 alone removes all of them, whatever set they
    are from. Waiting labs take as much memory as others. They are called standby-01, standby-02, ...; labctl list shows
    them. The objects of a lab that was taken keep these names.

    \b
    labctl standby 2 --from gridka-installed
    labctl create team11 --stage installed
    labctl standby 0
    """
    from labctl.cli.labs import working
    from labctl.cli.show import show
    from labctl.lab import standby
    from labctl.lab.decisions import Starting
    from labctl.site import site

    home = Home()
    options.set_aside(home)
    every = number == 0 and golden is topology is stage is None
    with site.opened(home, host) as place:
        choice = _choice(place, golden, topology, stage)
        if dry_run:
            known = standby.waiting(home, place, None if every else standby.source(place, choice).id)
            bad = sum(not standby.sound(place, record) for record in known[:number])
            what = [("make", number - len(known)), ("repair", bad), ("remove", len(known) - number)]
            said = ", ".join(f"{verb} {count}" for verb, count in what if count > 0)
            waiting = "1 lab waits" if len(known) == 1 else f"{len(known)} labs wait"
            click.echo(f"{waiting}. standby {number} would {said or 'change nothing'}.")
            return
        how = Starting(overcommit=overcommit or place.settings.overcommit)
        with working(home, place, jobs) as work:
            pool = standby.clear(work) if every else standby.keep(work, number, choice, how)
    done = [f"{len(pool.made)} made" if pool.made else "", f"{len(pool.removed)} removed" if pool.removed else ""]
    text = f"Labs that wait: {', '.join(pool.waiting)}." if pool.waiting else "No lab waits."
    show(output, document=asdict(pool), text=" ".join([text, *(f"{each}." for each in done if each)]))


def _choice(place: Site, golden: str | None, topology: str | None, stage: str | None) -> Choice:
    """Return what waiting labs start from."""
    import os

    from labctl.lab.decisions import Choice
    from labctl.plan.lab import stage_of
    from labctl.roles import fit
    from labctl.sets import store
    from labctl.spec.topology import restore

    if golden is not None and topology is None:
        found = store.golden(place).named(golden)
        at, chapter = stage_of(stage or found.stage_name)
        return Choice(topology=restore(dict(found.spec)), stage=at, chapter=chapter, golden=golden)
    at, chapter = stage_of(stage or "bare")
    spec = fit.load(topology or os.environ.get("LABCTL_TOPOLOGY", "gridka"))
    return Choice(topology=spec, stage=at, chapter=chapter, golden=golden)
