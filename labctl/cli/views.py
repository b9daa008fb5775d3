"""Commands that show labs."""

from __future__ import annotations

import click

from labctl.cli import options
from labctl.cli.labs import batched, teams_of
from labctl.cli.show import show
from labctl.state import Home


@click.command("list")
@click.option("--orphans", is_flag=True, help="List labs on the host that have no record here.")
@options.host
@options.output
@options.common
def list_command(orphans: bool, host: str | None, output: str) -> None:
    """List the labs.

    States are libvirt's; nodes are not asked. status shows whether nodes are ready. --orphans lists labs on --host that
    have no record here, for adopt or destroy --orphans.
    """
    if orphans:
        _orphans(host, output)
        return
    from labctl.lab import overview
    from labctl.report import views

    home = Home()
    options.set_aside(home)
    labs = overview.labs(home)
    text = views.overview_table(labs) if labs else "There are no labs. labctl create team01 makes one."
    show(output, document=[views.overview_document(lab) for lab in labs], text=text)


@click.command("status")
@options.teams(required=False)
@options.output
@options.common
def status_command(teams: tuple[str, ...], output: str) -> None:
    """Show a lab: its nodes, states and addresses.

    A node is ready when it runs, its first boot succeeded, and its SSH answers now. JSON and YAML give one object for
    one team and a list for a range.
    """
    from labctl.lab import many, status
    from labctl.lab.status import LabStatus
    from labctl.report import views
    from labctl.site.work import Work

    home = Home()
    names = teams_of(home, teams)

    def look(work: Work, team: str) -> LabStatus:
        return status.status(home, work.site, team)

    with batched(home) as batch:
        results = many.each(batch, names, look)
    labs = list(results.done.values())
    documents = [views.lab_document(lab) for lab in labs]
    if labs:
        show(
            output,
            document=documents[0] if len(names) == 1 else documents,
            text="\n\n".join(views.lab_table(lab) for lab in labs),
        )
    results.check()


def _orphans(host: str | None, output: str) -> None:
    from labctl.lab import orphans
    from labctl.report import orphans as views
    from labctl.site import site

    home = Home()
    with site.opened(home, host, start=False) as place:
        found = orphans.find(home, place)
    text = views.orphans_table(found) if found else f"Host {place.name} has no labs without a record."
    show(output, document=[views.orphan_document(orphan) for orphan in found], text=text)
