"""Commands about golden sets."""

from __future__ import annotations

from pathlib import Path

import click

from labctl.cli import options
from labctl.cli.group import Group
from labctl.cli.show import show
from labctl.sizes import size
from labctl.state import Home

_SET = click.argument("name", metavar="NAME|ID", shell_complete=options.complete_golden)


@click.group("golden", cls=Group)
def golden_command() -> None:
    """Bake, capture, move and remove golden sets, from which new labs are made."""


@golden_command.command("list")
@options.host
@options.output
@options.common
def list_(host: str | None, output: str) -> None:
    """List the host's golden sets."""
    from labctl.report import golden as report
    from labctl.sets import store
    from labctl.site import site

    with site.opened(Home(), host) as place:
        found = store.golden(place).every()
    show(output, document=[report.document(golden) for golden in found], text=report.lines(found))


@golden_command.command("bake")
@click.argument("topology", metavar="TOPOLOGY", shell_complete=options.complete_topology)
@click.option("--name", help="The set's name. Default: TOPOLOGY-installed.")
@click.option("--if-missing", is_flag=True, help="Do nothing if the host has a set for exactly this topology.")
@options.jobs
@options.trace
@options.host
@options.common
def bake(topology: str, name: str | None, if_missing: bool, jobs: int | None, host: str | None) -> None:
    """Prepare the disks of a topology's cloud at this machine's own speed.

    The nodes run as containers on this machine, as root. Everything is configured that needs no kernel of its own:
    databases, catalog, users, configuration files. labctl create --stage installed then boots these disks and starts
    the services.
    """
    from labctl.cli.labs import working
    from labctl.lab import bake as baking
    from labctl.roles import fit
    from labctl.sets import store
    from labctl.site import site

    home = Home()
    spec = fit.load(topology)
    called = name or f"{spec.name}-installed"
    with site.opened(home, host) as place:
        if if_missing and any(golden.digest == spec.digest for golden in store.golden(place).every()):
            options.say(f"Golden set {called} is there.")
            return
        with working(home, place, jobs) as work:
            made = baking.bake(work, spec, called)
    click.echo(f"Golden set {called} is ready: {len(made.disks)} disks, {size(made.size)}.")


@golden_command.command("capture")
@options.teams(required=True)
@click.option("--name", help="The set's name. Default: TOPOLOGY-STAGE.")
@click.option(
    "--until",
    metavar="ROLE",
    shell_complete=options.complete_role,
    help="Install a bare lab up to this role's chapter first. Without it, the lab is captured as it stands.",
)
@options.jobs
@options.trace
@options.common
def capture(teams: tuple[str, ...], name: str | None, until: str | None, jobs: int | None) -> None:
    """Save a team's running lab, disks and memory, as a golden set.

    create then forks new labs from it. Every role's probe must succeed. The lab is suspended while its memory is
    written, then continues. From then on its own nodes are reset to that moment.

    A bare lab that install has brought up to a chapter makes a set of stage after:ROLE, for catchup and create.

    \b
    labctl golden capture master
    labctl golden capture master --until glance    install up to Glance, then capture
    """
    from labctl.cli.labs import site_of, working
    from labctl.lab import capture as capturing
    from labctl.sets import manifest, store

    home = Home()
    team = options.one_of(teams)
    with site_of(home, team) as place, working(home, place, jobs) as work:
        made = capturing.capture(work, team, name, until=until)
        handle = manifest.handles(store.golden(place).every())[made.id]
    options.say(
        f"Golden set {made.name} is ready: stage {made.stage_name}, {len(made.memory)} nodes, {size(made.size)}. "
        f"labctl create TEAM --from {handle}"
    )


@golden_command.command("show")
@_SET
@options.host
@options.output
@options.common
def show_(name: str, host: str | None, output: str) -> None:
    """Show what a golden set is and contains."""
    from labctl.report import golden as report
    from labctl.sets import store, warm
    from labctl.site import site

    with site.opened(Home(), host) as place:
        found = store.golden(place).named(name)
        obstacle = warm.obstacle(place, found)
    show(output, document=report.document(found), text=report.details(found, obstacle))


@golden_command.command("verify")
@_SET
@options.jobs
@options.trace
@options.host
@options.common
def verify(name: str, jobs: int | None, host: str | None) -> None:
    """Read a golden set's disks and memory, and compare them with the hashes taken when it was made."""
    from labctl.cli.labs import working
    from labctl.sets import bundle, store
    from labctl.site import site

    home = Home()
    with site.opened(home, host) as place, working(home, place, jobs) as work:
        bundle.verify(work, store.golden(place).named(name))
    options.say(f"Golden set {name} is intact.")


@golden_command.command("export")
@_SET
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@options.host
@options.common
def export(name: str, file: Path, host: str | None) -> None:
    """Write a golden set and its base image into one file, for another host."""
    from labctl.cli.labs import working
    from labctl.sets import bundle, store
    from labctl.site import site

    home = Home()
    with site.opened(home, host) as place, working(home, place) as work:
        bundle.export(work, store.golden(place).named(name), file)
    options.say(f"{file}: golden set {name}, {size(file.stat().st_size)}. labctl golden import {file}")


@golden_command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.host
@options.common
def import_(file: Path, host: str | None) -> None:
    """Import a golden set from a file that export wrote.

    Everything is checked before anything appears on the host. If the set's memory does not fit the host, labs boot.
    """
    from labctl.cli.labs import working
    from labctl.sets import bundle, manifest, store, warm
    from labctl.site import site

    home = Home()
    with site.opened(home, host) as place, working(home, place) as work:
        made = bundle.import_(work, file)
        obstacle = warm.obstacle(place, made)
        handle = manifest.handles(store.golden(place).every())[made.id]
    if obstacle:
        click.echo(f"{obstacle}; labs boot from its disks.", err=True)
    options.say(f"Golden set {made.name} is ready. labctl create TEAM --from {handle}")


@golden_command.command("remove")
@_SET
@options.host
@options.common
def remove(name: str, host: str | None) -> None:
    """Remove a golden set that no lab uses, and the remains of interrupted runs."""
    from labctl.sets import store
    from labctl.site import site

    home = Home()
    with site.opened(home, host) as place:
        removed = store.remove(home, place, name)
    options.say(f"Golden set {removed} is removed.")
