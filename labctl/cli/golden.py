"""Commands about golden sets."""

from __future__ import annotations

from collections.abc import Callable

import click

from labctl.cli import options
from labctl.cli.show import show
from labctl.state import Home


@click.group("golden")
def golden_command() -> None:
    """List, bake and remove golden sets: labs' disks that new labs stand on."""


@golden_command.command("list")
@options.host
@options.output
@options.common
def list_(host: str | None, output: str) -> None:
    """List the host's golden sets."""
    from labctl.lab import site
    from labctl.report import golden as report

    with site.opened(Home(), host) as place:
        found = place.golden.every()
    show(output, document=[report.document(golden) for golden in found], text=report.lines(found))


@golden_command.command("bake")
@click.argument("topology", metavar="TOPOLOGY", shell_complete=options.complete_topology)
@click.option("--name", help="What to call the set. Default: TOPOLOGY-installed.")
@click.option("--if-missing", is_flag=True, help="Do nothing where the host has a set for this very topology.")
@options.jobs
@options.host
@options.common
def bake(topology: str, name: str | None, if_missing: bool, jobs: int | None, host: str | None) -> None:
    """Prepare the disks of a topology's cloud at this machine's own speed.

    Its nodes run as containers on this machine, as root, until everything is configured that needs no kernel of its
    own: databases, catalog, users, configuration. labctl create --stage installed then boots these disks and starts
    the services.
    """
    from labctl.cli.labs import cancellable
    from labctl.lab import bake as baking
    from labctl.lab import site
    from labctl.spec import topology as topologies

    home = Home()
    spec = topologies.load(topology)
    called = name or f"{spec.name}-installed"
    with site.opened(home, host) as place, cancellable() as cancelled:
        if if_missing and any(golden.digest == spec.digest for golden in place.golden.every()):
            options.say(f"Golden set {called} is there.")
            return
        made = baking.bake(
            home,
            place,
            spec,
            name=called,
            jobs=jobs or place.settings.jobs,
            say=_sayer(quiet=options.quiet()),
            cancelled=cancelled,
        )
    click.echo(f"Golden set {called} is ready: {len(made.disks)} disks, {made.size // 1024**2} MiB.")


@golden_command.command("remove")
@click.argument("name")
@options.host
@options.common
def remove(name: str, host: str | None) -> None:
    """Remove a golden set that no lab uses."""
    from labctl.lab import site

    home = Home()
    with site.opened(home, host) as place:
        used = {record.golden for record in home.records() if record.host == place.name}
        place.golden.remove(name, in_use=used)
    options.say(f"Golden set {name} is removed.")


def _sayer(*, quiet: bool) -> Callable[[str], None]:
    import time

    began = time.monotonic()

    def say(text: str) -> None:
        if not quiet:
            click.echo(f"{time.monotonic() - began:7.1f} s  {text}", err=True)

    return say
