"""Commands about this machine: doctor, the private host, completion."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from labctl.cli import options
from labctl.cli.group import Group
from labctl.cli.show import show
from labctl.errors import LabctlError
from labctl.state import Home

if TYPE_CHECKING:
    from labctl.host.private import HostStatus

_NAME = click.argument("name", default="local", metavar="[NAME]")


@click.command("doctor")
@options.output
@options.common
def doctor_command(output: str) -> int:
    """Say whether labs can run here, and what is missing.

    Exits with 1 when something that labs need is missing.
    """
    from labctl.host import doctor
    from labctl.report import machine

    home = Home()
    findings = doctor.examine(home.root, home.hosts)
    show(output, document=[machine.finding_document(finding) for finding in findings], text=machine.findings(findings))
    return 1 if any(finding.level == "error" for finding in findings) else 0


@click.group("host", cls=Group)
def host_command() -> None:
    """Run a private libvirt host on this machine.

    The private host has network, process and mount namespaces of its own. Its labs cannot reach this machine's
    networks. Purging it leaves nothing behind.
    """


@host_command.command("up")
@_NAME
@options.common
def up(name: str) -> None:
    """Start the private host, if it does not run."""
    from labctl.host import merging, private

    host = private.up(name, Home().hosts)
    options.say(f"Private host {name} is up: {host.uri}")
    if (found := merging.facts()) and not found.on:
        options.say("labctl host tune --merging makes room for more labs: equal memory of labs is kept once.")


@host_command.command("down")
@_NAME
@click.option("--force", is_flag=True, help="Cut the power of running guests.")
@click.option("--purge", is_flag=True, help="Delete the labs' disks and the images too.")
@options.common
def down(name: str, force: bool, purge: bool) -> None:
    """Stop the private host; the labs' disks stay for the next up.

    It refuses while guests run, and lists them: of labs on record, of labs without a record, others.
    """
    from labctl.host import private

    home = Home()
    try:
        private.down(name, home.hosts, force=force, purge=purge)
    except private.InUseError as exc:
        _tell_apart(home, name, exc)
        raise
    options.say(f"Private host {name} is down{' and purged' if purge else ''}.")


@host_command.command("status")
@click.argument("name", required=False)
@options.output
@options.common
def status(name: str | None, output: str) -> None:
    """Show the private hosts."""
    from labctl.host import private
    from labctl.report import machine

    home = Home()
    hosts: list[HostStatus] = [private.status(each, home.hosts) for each in _names(home, name)]
    show(output, document=[machine.host_document(host) for host in hosts], text=machine.hosts(hosts))


@host_command.command("tune")
@click.option(
    "--merging/--no-merging", default=None, help="Keep equal memory pages of guests only once, or stop doing so."
)
@options.common
def tune(merging: bool | None) -> None:
    """Make room for more labs on this machine, until it starts again.

    With --merging, the kernel looks for equal memory pages and keeps them once (KSM). This concerns all virtual
    machines of this machine. Labs from one image or golden set share much. It takes up to a sixth of a processor, and
    some minutes until it has looked at all memory twice.
    Without an option, the command shows what merging saves now. Guests may write to merged pages at any time, so create
    counts on half of what is saved; --overcommit counts on more.
    """
    from labctl.host import merging as pages
    from labctl.sizes import size

    if merging is not None:
        pages.switch(on=merging)
    facts = pages.facts()
    if facts is None:
        options.say("This kernel has no same-page merging.")
    else:
        options.say(f"Same-page merging is {'on' if facts.on else 'off'}, and saves {size(facts.saved)} now.")


@host_command.command("firewall")
@options.common
def firewall() -> None:
    """Print the nftables rules that keep labs apart and off the host.

    A private host has them. To have them with this machine's own libvirt: labctl host firewall | nft -f -
    """
    from labctl.host import firewall as rules

    click.echo(rules.ruleset(), nl=False)


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@options.common
def completion_command(shell: str) -> None:
    """Print the shell's completion script.

    \b
    labctl completion bash > /etc/bash_completion.d/labctl
    """
    from click.shell_completion import get_completion_class

    from labctl.cli.root import root

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(root, {}, "labctl", "_LABCTL_COMPLETE").source())


def _names(home: Home, name: str | None) -> list[str]:
    from labctl.host import private

    return [name] if name else private.names(home.hosts)


def _tell_apart(home: Home, name: str, error: LabctlError) -> None:
    """Say in an error whose the guests of a private host are, where its libvirt tells."""
    from labctl.lab import orphans
    from labctl.site import site

    with contextlib.suppress(LabctlError), site.opened(home, name, start=False) as place:
        whose = orphans.whose(home, place)
        error.details = "\n".join(f"{owner}: {', '.join(guests)}" for owner, guests in whose.items())
        if any(owner.startswith("without a record") for owner in whose):
            error.remedy += (
                f" Labs without a record: labctl adopt --host {name}, or labctl destroy --orphans --host {name}"
            )
