"""Commands that change labs, and plan."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labctl.cli import options
from labctl.errors import InputError
from labctl.state import Home

if TYPE_CHECKING:
    from labctl.lab.create import Created
    from labctl.lab.decisions import Choice, Starting
    from labctl.lab.many import Batch
    from labctl.plan.model import LabPlan
    from labctl.site.site import Site
    from labctl.site.work import Work
    from labctl.spec.topology import Topology

_VIRT = click.option("--virt", type=click.Choice(["kvm", "qemu"]), help="KVM or emulation. Default: KVM if it works.")


@click.command("create")
@options.teams(required=True)
@options.topology
@options.stage
@_VIRT
@options.overcommit
@click.option(
    "--from",
    "golden",
    metavar="NAME|ID",
    shell_complete=options.complete_golden,
    help="The golden set to make the lab from. Default: the newest one that matches.",
)
@click.option("--cold", is_flag=True, help="Boot the nodes even if a golden set has their memory.")
@click.option(
    "--capture/--no-capture",
    "once",
    default=True,
    help="Boot one of many new labs, capture it, and fork the others; or boot all.  [default: capture]",
)
@click.option("--dry-run", is_flag=True, help="Check everything and show what would be done; change nothing.")
@options.no_wait
@options.jobs
@options.trace
@options.host
@options.output
@options.common
def create_command(
    teams: tuple[str, ...],
    topology: str | None,
    stage: str | None,
    virt: str | None,
    overcommit: bool,
    golden: str | None,
    cold: bool,
    once: bool,
    dry_run: bool,
    wait: bool,
    jobs: int | None,
    host: str | None,
    output: str,
) -> None:
    """Create labs, or complete them.

    TEAM is a name or a range: team01, team01..team10, team0{1,2}. A complete lab is not changed. A lab that an
    interrupted run left unfinished is completed. If the host has a golden set with memory for the topology and stage,
    the lab is forked from it: its nodes continue from the moment of the capture instead of booting. Of many new labs,
    the first boots and is captured, and the others are forked from it. An image that is missing is built, and the
    disks of a cloud are baked.
    """
    from labctl.cli.show import show
    from labctl.lab import decisions, rollout
    from labctl.plan.lab import stage_of
    from labctl.report import views
    from labctl.site import site, timing

    names = options.expand(teams)
    home = Home()
    options.set_aside(home)
    spec = None if golden and topology is None else _topology(home, names, topology)
    recorded = None if virt else _virt_of(home, names)
    with site.opened(home, _host_of(home, names, host), virt=virt, recorded=recorded) as place:
        if place.emulated:
            options.say(f"New labs on {place.name} are emulated, about ten times slower: {place.emulated}.")
        if golden and spec is None:
            spec, stage = _of_golden(place, golden, stage)
        at, chapter = stage_of(stage or "bare")
        choice = decisions.Choice(topology=spec, stage=at, chapter=chapter, golden=golden, cold=cold)
        how = decisions.Starting(overcommit=overcommit or place.settings.overcommit, wait=wait)
        if dry_run:
            _dry_run(home, place, names, choice, how, once=once)
            return
        with working(home, place, jobs) as work:
            created = rollout.roll_out(work, names, choice, how, once=once)
        spent = timing.of(work).by_node()
    if output == "table":
        for lab in created:
            options.say(said(lab))
    else:
        show(output, document=[views.created_document(lab, spent.get(lab.team, {})) for lab in created], text="")


@click.command("plan")
@options.teams(required=True)
@options.topology
@options.stage
@options.host
@options.output
@options.common
def plan_command(
    teams: tuple[str, ...], topology: str | None, stage: str | None, host: str | None, output: str
) -> None:
    """Show what create would do.

    This makes nothing and asks no host. A new lab gets the lowest subnet that no lab on record has. create --dry-run
    asks the host too, and checks whether the labs fit.
    """
    from labctl.cli.show import show
    from labctl.lab import decisions, provisional
    from labctl.plan.lab import stage_of
    from labctl.report import views

    names = options.expand(teams)
    home = Home()
    options.set_aside(home)
    spec = _topology(home, names, topology)
    at, chapter = stage_of(stage or "bare")
    if spec is not None:
        decisions.refuse_unknown(spec, chapter)
    plans = provisional.plans(home, names, spec, stage=at, host=host)
    show(
        output,
        document=[views.plan_document(plan, {}) for plan in plans],
        text="\n\n".join(views.plan_table(plan, {}) for plan in plans),
    )


@click.command("reset")
@click.argument("nodes", metavar="NODE...", nargs=-1, shell_complete=options.complete_node)
@click.option("--all", "everything", is_flag=True, help="Reset all nodes of the lab, in one consistent step.")
@click.option("--cold", is_flag=True, help="Boot the nodes even if the lab's golden set has their memory.")
@click.option(
    "--stage",
    type=click.Choice(["bare", "installed"]),
    help="In an installed lab: bare gives plain nodes. Default: the stage that the lab was made with.",
)
@click.option("--clean", is_flag=True, help="Afterwards delete from the cloud the records of what the nodes have lost.")
@options.overcommit
@options.no_wait
@options.jobs
@options.trace
@options.team
@options.common
def reset_command(
    nodes: tuple[str, ...],
    everything: bool,
    cold: bool,
    stage: str | None,
    clean: bool,
    overcommit: bool,
    wait: bool,
    jobs: int | None,
    team: str | None,
) -> None:
    """Give nodes back as they were when the lab was made.

    All changes on a node's disks are lost. The node keeps its names, addresses, MACs and host key; its machine ID is
    new. The other nodes keep running. In a lab that was captured, or forked from a golden set, the node continues from
    the moment of the capture.
    """
    from labctl.lab import reset
    from labctl.lab.decisions import Starting

    if bool(nodes) == everything:
        raise InputError("which nodes?", remedy="Name nodes, or use --all.")
    home = Home()
    name = options.one_team(home, team)
    with site_of(home, name) as place:
        lost = reset.losses(home, name, nodes)
        for line in lost:
            options.say(line)
        how = Starting(overcommit=overcommit or place.settings.overcommit, wait=wait, cold=cold)
        with working(home, place, jobs) as work:
            done = reset.reset(work, name, nodes, stage=stage, how=how)
            cleaned = reset.clean(work, name, done) if clean and wait else []
        if clean and wait:
            options.say("\n".join(f"{each} cleaned up" for each in cleaned))
        elif lost:
            options.say("labctl reset --clean deletes these records from the cloud; you can also delete them by hand.")
    options.say(f"{name}: {', '.join(done)} reset.")


@contextmanager
def cancellable() -> Iterator[threading.Event]:
    """Yield an event that SIGINT and SIGTERM set, besides interrupting the main thread."""
    cancelled = threading.Event()

    def stop(number: int, frame: object) -> None:
        cancelled.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancelled
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def working(home: Home, place: Site, jobs: int | None = None) -> Iterator[Work]:
    """Yield the work of a command on a host: it shows what happens, and can be interrupted.

    Args:
        jobs: how many calls of libvirt run at a time; None takes the host's own number.
    """
    from labctl.cli import progress
    from labctl.report import timing as report
    from labctl.site.timing import Timing
    from labctl.site.work import Work

    with progress.shown(quiet=options.quiet()) as shown, cancellable() as cancelled, Timing(shown) as timing:
        try:
            yield Work(home=home, site=place, jobs=jobs or place.settings.jobs, progress=timing, cancelled=cancelled)
        finally:
            if file := options.traced():
                timing.write(Path(file))
            if options.verbose() and (table := report.seconds(timing.by_node())):
                click.echo(table, err=True)


@contextmanager
def batched(home: Home, jobs: int | None = None, *, host: str | None = None) -> Iterator[Batch]:
    """Yield the work of a command on labs of any hosts: it shows what happens, and can be interrupted; see `Batch`."""
    from labctl.cli import progress
    from labctl.lab.many import Batch

    with progress.shown(quiet=options.quiet()) as shown, cancellable() as cancelled:
        yield Batch(home=home, progress=shown, cancelled=cancelled, jobs=jobs, host=host)


@contextmanager
def breaking(home: Home, teams: Sequence[str]) -> Iterator[None]:
    """Break labs meanwhile; an interrupt says where a fault may still be, as its undo may have failed."""
    from labctl.lab import sabotage

    try:
        yield
    except KeyboardInterrupt as exc:
        for team in sabotage.unfinished(home, teams):
            exc.add_note(f"{team}: a fault may still be in the lab. Next: labctl sabotage heal {team}")
        raise


@contextmanager
def site_of(home: Home, team: str) -> Iterator[Site]:
    """Connect to the host that a team's lab stands on."""
    from labctl.site import site
    from labctl.state import records

    record = records.record_of(home, team)
    with site.opened(home, record.host, recorded=record.virt) as place:
        yield place


def teams_of(home: Home, patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the teams that a command names, else the one that commands mean when none is named."""
    return options.expand(patterns) if patterns else (options.one_team(home, None),)


def _host_of(home: Home, teams: Sequence[str], named: str | None) -> str | None:
    """Return the host to create on: the one that is named, else where the teams' labs stand already."""
    hosts = {record.host for team in teams if (record := home.lab(team).load())}
    return named or (hosts.pop() if len(hosts) == 1 else None)


def _virt_of(home: Home, teams: Sequence[str]) -> str | None:
    """Return what the teams' labs were made with, kvm or qemu; None where one is new, or they differ."""
    found = {record.virt if (record := home.lab(team).load()) else None for team in teams}
    return found.pop() if len(found) == 1 else None


def _topology(home: Home, teams: Sequence[str], named: str | None) -> Topology | None:
    """Return the topology that is named; None where all the labs have one on record, else gridka."""
    from labctl.roles import fit

    if named is None and all(home.lab(team).load() for team in teams):
        return None
    return fit.load(named or os.environ.get("LABCTL_TOPOLOGY", "gridka"))


def _of_golden(place: Site, name: str, stage: str | None) -> tuple[Topology, str]:
    """Return the topology and the stage of a golden set, where the user named no others."""
    from labctl.sets import store
    from labctl.spec import topology

    found = store.golden(place).named(name)
    return topology.restore(dict(found.spec)), stage or found.stage_name


def _dry_run(home: Home, place: Site, teams: Sequence[str], choice: Choice, how: Starting, *, once: bool) -> None:
    from labctl.cli.progress import Remarks
    from labctl.lab import decisions, provisional, rollout
    from labctl.report import views
    from labctl.site.work import Work

    work = Work(home=home, site=place, jobs=1, progress=Remarks(), cancelled=threading.Event())
    steps = rollout.planned(work, teams, choice, how, once=once)
    for remark in steps.remarks(choice.topology.name if choice.topology else ""):
        work.progress.say(remark)
    if steps.images or steps.bake:  # the host cannot tell yet whether the labs fit
        plans = provisional.plans(home, teams, choice.topology, stage=choice.stage, host=place.name)
    else:
        plans = [lab.plan for lab in decisions.decide(work, teams, choice, overcommit=how.overcommit, held=None)]
    for plan in plans:
        click.echo(views.plan_table(plan, _states(place, plan)))
        click.echo()
    click.echo("Nothing was done.")


def _states(place: Site, plan: LabPlan) -> dict[str, str]:
    from labctl.lab import status

    states = {node.domain: status.state_of(place, plan, node) for node in plan.nodes if node.domain in place.domains}
    return states | {network.name: "exists" for network in plan.networks if network.name in place.networks}


def said(lab: Created) -> str:
    """Return the line that tells what `create` did to a lab."""
    hint = f" Off: {', '.join(lab.off)}; labctl start {lab.team}." if lab.off else ""
    if not lab.changed:
        return f"{lab.team}: nothing to do.{hint}" if hint else f"{lab.team}: nothing to do, the lab is complete."
    kinds = [
        (lab.made, "object", "made"),
        (lab.networks, "network", "started"),
        (lab.plugged, "node", "plugged in again"),
        (lab.started, "node", "started"),
        (lab.resumed, "node", "resumed"),
        (lab.installed, "step", "of the cloud done"),
    ]
    done = (f"{len(each)} {what}{'s' if len(each) > 1 else ''} {how}" for each, what, how in kinds if each)
    return f"{lab.team}: {', '.join(done)}.{hint} labctl status {lab.team}"
