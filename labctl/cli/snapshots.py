"""Commands about a lab's own snapshots."""

from __future__ import annotations

import sys

import click

from labctl.cli import options
from labctl.cli.group import Group
from labctl.cli.show import show
from labctl.sizes import size
from labctl.state import Home


@click.group("snapshot", cls=Group)
def snapshot_command() -> None:
    """Save a lab as it is, and go back to it."""


@snapshot_command.command("save")
@click.argument("name")
@options.jobs
@options.trace
@options.team
@options.common
def save(name: str, jobs: int | None, team: str | None) -> None:
    """Save the lab as it is, disks and memory.

    The lab is suspended while its memory is written, then continues.
    """
    from labctl.cli.labs import site_of, working
    from labctl.lab import capture

    home = Home()
    called = options.one_team(home, team)
    with site_of(home, called) as place, working(home, place, jobs) as work:
        made = capture.snapshot(work, called, name)
    options.say(f"{called}: snapshot {name} is saved, {size(made.size)}.")


@snapshot_command.command("list")
@options.output
@options.team
@options.common
def list_(output: str, team: str | None) -> None:
    """List the lab's snapshots."""
    from labctl.cli.labs import site_of
    from labctl.report import golden as report
    from labctl.sets import snapshots

    home = Home()
    called = options.one_team(home, team)
    with site_of(home, called) as place:
        found = snapshots.every(home, place, called)
    documents = [report.document(each) | {"name": snapshots.label(each)} for each in found]
    show(output, document=documents, text=report.snapshots([(snapshots.label(each), each) for each in found]))


@snapshot_command.command("restore")
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options.overcommit
@options.jobs
@options.trace
@options.team
@options.common
def restore(name: str, yes: bool, overcommit: bool, jobs: int | None, team: str | None) -> None:
    """Bring the whole lab back to a snapshot, running.

    Everything that happened after the snapshot is lost. On a terminal it asks once.
    """
    from labctl.cli.labs import site_of, working
    from labctl.lab import snapshot
    from labctl.sets import snapshots

    home = Home()
    called = options.one_team(home, team)
    with site_of(home, called) as place:
        snapshots.find(home, place, called, name)
        if not yes and sys.stdin.isatty():
            question = f"Bring the lab of {called} back to {name} and lose everything that happened after it?"
            options.confirm(question, no="Nothing was done.")
        with working(home, place, jobs) as work:
            snapshot.restore(work, called, name, overcommit=overcommit or place.settings.overcommit)
    options.say(f"{called}: the lab is back at {name}.")


@snapshot_command.command("remove")
@click.argument("name")
@options.team
@options.common
def remove(name: str, team: str | None) -> None:
    """Remove a snapshot; the lab does not change."""
    from labctl.cli.labs import site_of
    from labctl.lab import snapshot

    home = Home()
    called = options.one_team(home, team)
    with site_of(home, called) as place:
        snapshot.remove(home, place, called, name)
    options.say(f"{called}: snapshot {name} is removed.")
