"""Commands about topologies."""

from __future__ import annotations

import json

import click

from labctl.cli import options
from labctl.cli.group import Group
from labctl.cli.show import show


@click.group("topology", cls=Group)
def topology_command() -> None:
    """List, show and check topologies."""


@topology_command.command("list")
@options.output
@options.common
def list_(output: str) -> None:
    """List the topologies that come with labctl."""
    from labctl.report import topologies
    from labctl.spec import topology

    found = [topology.load(name) for name in topology.shipped()]
    show(output, document=[topologies.line_document(spec) for spec in found], text=topologies.lines(found))


@topology_command.command("show")
@click.argument("name", metavar="NAME|FILE", shell_complete=options.complete_topology)
@options.output
@options.common
def show_(name: str, output: str) -> None:
    """Show a topology with every default filled in."""
    from labctl.report import topologies
    from labctl.spec import topology

    spec = topology.load(name)
    show(output, document=spec.document(), text=topologies.picture(spec))


@topology_command.command("check")
@click.argument("file", metavar="FILE")
@options.common
def check(file: str) -> None:
    """Check a topology file, and list every mistake with its line and what would be right."""
    from labctl.roles import fit

    spec = fit.load(file)
    options.say(f"{file} is a valid topology: {len(spec.nodes)} nodes, {len(spec.networks)} networks.")


@topology_command.command("schema")
@options.common
def schema() -> None:
    """Print the JSON Schema of topology files, for editors."""
    from labctl.spec import topology

    click.echo(json.dumps(topology.schema(), indent=2))


@click.command("init")
@click.argument("name", metavar="TOPOLOGY", shell_complete=options.complete_topology)
@options.common
def init_command(name: str) -> None:
    """Print a topology to edit.

    \b
    labctl init gridka > my.yaml
    labctl create team01 --topology my.yaml
    """
    from labctl.spec import topology

    click.echo(topology.template(name), nl=False)
