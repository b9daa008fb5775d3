"""Commands that power nodes on and off."""

from __future__ import annotations

import click

from labctl.cli import options
from labctl.cli.labs import batched, teams_of
from labctl.state import Home

_NODES = click.option(
    "--node",
    "nodes",
    metavar="NODE",
    multiple=True,
    shell_complete=options.complete_node,
    help="Only this node; may be given several times.",
)


@click.command("start")
@options.teams(required=False)
@_NODES
@options.overcommit
@options.no_wait
@options.jobs
@options.trace
@options.common
def start_command(
    teams: tuple[str, ...], nodes: tuple[str, ...], overcommit: bool, wait: bool, jobs: int | None
) -> None:
    """Power nodes on and wait until they are ready.

    Paused nodes are resumed. If a network was stopped under running nodes, their cards are plugged in again. Several
    labs start side by side; a failure in one does not stop the others.
    """
    from labctl.lab import many, power
    from labctl.lab.decisions import Starting
    from labctl.lab.power import Started
    from labctl.site.work import Work

    home = Home()
    names = teams_of(home, teams)

    def start(work: Work, team: str) -> Started:
        how = Starting(overcommit=overcommit or work.site.settings.overcommit, wait=wait)
        return power.start(work, team, nodes, how)

    with batched(home, jobs) as batch:
        results = many.each(batch, names, start)
    for team, started in results.done.items():
        done = {"started": started.started, "resumed": started.resumed, "plugged in again": started.plugged}
        words = [f"{what} {', '.join(each)}" for what, each in done.items() if each]
        options.say(f"{team}: {'; '.join(words) or 'everything runs already'}.")
    results.check()


@click.command("stop")
@options.teams(required=False)
@_NODES
@click.option("--force", is_flag=True, help="Cut the power instead of shutting the guests down.")
@options.common
def stop_command(teams: tuple[str, ...], nodes: tuple[str, ...], force: bool) -> None:
    """Power nodes off.

    Several labs stop side by side; a failure in one does not stop the others.
    """
    from labctl.lab import many, power
    from labctl.site.work import Work

    home = Home()
    names = teams_of(home, teams)

    def stop(work: Work, team: str) -> list[str]:
        return power.stop(work, team, nodes, force=force)

    with batched(home) as batch:
        results = many.each(batch, names, stop)
    for team, stopped in results.done.items():
        options.say(f"{team}: stopped {', '.join(stopped)}." if stopped else f"{team}: everything is off already.")
    results.check()
