"""The command that gives labs without a record one."""

from __future__ import annotations

import click

from labctl.cli import options
from labctl.cli.destroy import ask
from labctl.cli.labs import working
from labctl.errors import InputError
from labctl.state import Home


@click.command("adopt")
@options.teams(required=False)
@click.option(
    "--topology",
    metavar="NAME|FILE",
    shell_complete=options.complete_topology,
    help="The labs' topology. Default: found in other records, golden sets or the shipped topologies.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options.jobs
@options.host
@options.common
def adopt_command(teams: tuple[str, ...], topology: str | None, yes: bool, jobs: int | None, host: str | None) -> None:
    """Write new records for labs whose record was lost.

    The labs are found by the metadata of their domains and networks. adopt shows them and asks; labctl list --orphans
    only shows them. If a lab's keys were lost too, running nodes get new keys through their guest agents; the others
    need a reset. Snapshots stay lost, and so do passwords of a cloud that did not come from a golden set.
    """
    from labctl.lab import adopt, orphans
    from labctl.report import orphans as views
    from labctl.site import site
    from labctl.site.together import Attempts
    from labctl.spec import topology as topologies

    home = Home()
    names = options.expand(teams)
    spec = topologies.load(topology) if topology else None
    with site.opened(home, host) as place:
        found = orphans.find(home, place, names)
        if missing := set(names) - {orphan.team for orphan in found}:
            raise InputError(
                f"host {place.name} has no lab without a record of {', '.join(sorted(missing))}",
                remedy="labctl list --orphans",
            )
        if not found:
            options.say(f"Host {place.name} has no labs without a record.")
            return
        click.echo(views.orphans_table(found))
        ask(f"Adopt {', '.join(orphan.team for orphan in found)}?", yes=yes)
        attempts = Attempts()
        with working(home, place, jobs) as work:
            for orphan in found:
                with attempts.one():
                    done = adopt.adopt(work, orphan, spec)
                    options.say(f"{done.team}: adopted. labctl status {done.team}")
                    if done.locked:
                        nodes = " ".join(done.locked)
                        options.say(
                            f"Its keys were lost: labctl reset {nodes} -t {done.team} gives these nodes new ones."
                        )
        attempts.check(brief="not every lab could be adopted")
