"""The command that takes labs away, also those that have no record, and those that have no host."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from labctl.cli import options
from labctl.cli.labs import batched, working
from labctl.errors import InputError, RefusedError
from labctl.state import Home


@click.command("destroy")
@options.teams(required=False)
@click.option("--orphans", is_flag=True, help="Remove labs on the host whose record was lost.")
@click.option("--forget", is_flag=True, help="Delete only the records, for labs whose host is gone. No host is asked.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options.jobs
@options.trace
@options.host
@options.common
def destroy_command(
    teams: tuple[str, ...], orphans: bool, forget: bool, yes: bool, jobs: int | None, host: str | None
) -> None:
    """Remove labs completely.

    On a terminal it asks once. Base images stay. It continues after errors and lists what it could not remove; run it
    again to retry. It leaves and lists what a foreign machine uses.

    A lab with a damaged record is found by the metadata of its domains and networks. Name its host with --host if the
    record does not. --orphans finds all labs of this installation that have no record, shows them, and asks.

    \b
    labctl destroy team01..team10
    labctl destroy --orphans --host qemu:///system
    labctl destroy team03 --forget
    """
    home = Home()
    names = options.expand(teams)
    if orphans and forget:
        raise InputError("--orphans and --forget do not go together")
    if orphans:
        _orphans(home, names, host, yes=yes, jobs=jobs)
        return
    if not names:
        raise InputError("which labs?", remedy="Name teams, or say --orphans.")
    there = _begun(home, names)
    if forget:
        _forget(home, there, yes=yes)
    else:
        _destroy(home, there, host, yes=yes, jobs=jobs)


def _begun(home: Home, names: Sequence[str]) -> list[str]:
    """Return the teams that have labs; an earlier run may have destroyed the others.

    Raises:
        InputError: none has.
    """
    from labctl.state import records

    there = [name for name in names if home.lab(name).exists]
    if not there:
        records.record_of(home, names[0])  # which raises
    for name in names:
        if name not in there:
            options.say(f"{name}: has no lab.")
    return there


def _destroy(home: Home, names: Sequence[str], host: str | None, *, yes: bool, jobs: int | None) -> None:
    from labctl.errors import DamagedError
    from labctl.lab import destroy, many, orphans
    from labctl.site.work import Work

    damaged = home.damaged()
    if not yes and sys.stdin.isatty():
        options.confirm(f"Destroy {', '.join(names)} with all that is on their disks?", no="Nothing was destroyed.")

    def take_away(work: Work, team: str) -> None:
        try:
            destroy.destroy(work, team)
        except DamagedError:
            if team not in damaged:  # it is about another file
                raise
            work.progress.say(f"the record of {team} is damaged; its lab is found by the metadata of its objects")
            orphans.destroy_damaged(work, team)

    with batched(home, jobs, host=host) as batch:
        results = many.each(batch, names, take_away)
    for name in results.done:
        options.say(f"{name}: destroyed.")
    results.check()


def _forget(home: Home, names: Sequence[str], *, yes: bool) -> None:
    from labctl.lab import destroy

    for name in names:
        host = home.lab(name).host() or "?"
        click.echo(
            f"{name}: only its record and its keys will be deleted. Host {host} is not asked: everything "
            "there keeps running, and labctl will not find it any more.",
            err=True,
        )
    ask(f"Forget {', '.join(names)}?", yes=yes)
    for name in names:
        destroy.forget(home, name)
        options.say(f"{name}: forgotten, not destroyed. Its host is back? labctl destroy --orphans --host HOST")


def _orphans(home: Home, names: Sequence[str], host: str | None, *, yes: bool, jobs: int | None) -> None:
    from labctl.lab import orphans
    from labctl.report import orphans as views
    from labctl.site import site
    from labctl.site.together import Attempts

    with site.opened(home, host) as place:
        found = orphans.find(home, place, names)
        for owner, theirs in orphans.others(home, place).items():
            options.say(
                f"Not looked at: labs of {', '.join(theirs)}, which another installation made (owner {owner}). "
                f"If it was this one, and its folder was lost: put that ID into {home.root}/owner."
            )
        if not found:
            options.say(f"Host {place.name} has no labs without a record.")
            return
        click.echo(views.orphans_table(found))
        ask(f"Destroy {', '.join(orphan.team for orphan in found)} with all that is on their disks?", yes=yes)
        attempts = Attempts()
        with working(home, place, jobs) as work:
            for orphan in found:
                with attempts.one():
                    orphans.destroy(work, orphan)
                    options.say(f"{orphan.team}: destroyed.")
        attempts.check(brief="something is left")


def ask(question: str, *, yes: bool) -> None:
    """Ask before something that is more than it seems; where nobody can be asked, --yes must be given.

    Raises:
        RefusedError: nobody can be asked.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise RefusedError(f"{question} Nobody can be asked here", remedy="Add --yes if that is what you want.")
    options.confirm(question, no="Nothing was done.")
