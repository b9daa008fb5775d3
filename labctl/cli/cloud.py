"""Commands about a lab's cloud: install, logs, openrc."""

from __future__ import annotations

import click

from labctl.cli import options
from labctl.errors import InputError, printable
from labctl.state import Home


@click.command("install")
@click.argument("name", metavar="[TEAM]", required=False, shell_complete=options.complete_team)
@click.option("--until", metavar="ROLE", shell_complete=options.complete_role, help="Stop after this role.")
@click.option("--only", metavar="ROLE", shell_complete=options.complete_role, help="This role alone.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, step by step; change nothing.")
@click.option("--diff", is_flag=True, help="Compare with the nodes, and print only what would change; change nothing.")
@options.jobs
@options.common
def install_command(
    name: str | None, until: str | None, only: str | None, dry_run: bool, diff: bool, jobs: int | None
) -> None:
    """Install OpenStack on a lab, or continue an installation.

    Roles are installed in the order of their needs. A second run changes nothing and reports that. A run that was
    interrupted continues where it stopped.

    \b
    labctl install team01                   everything
    labctl install team01 --until glance    as the tutorial has it after its chapter about Glance
    labctl install team01 --diff            what somebody changed since: a diff of every file and unit
    """
    from labctl.cli.labs import site_of, working
    from labctl.lab import install

    if until and only:
        raise InputError("--until and --only do not go together")
    home = Home()
    team = options.one_team(home, name)
    if diff:
        _diff(home, team, until=until, only=only)
        return
    if dry_run:
        _dry_run(home, team, until=until, only=only)
        return
    with site_of(home, team) as place, working(home, place, jobs) as work:
        outcome = install.install(work, team, until=until, only=only)
    if outcome.changed:
        options.say(f"{team}: {len(outcome.changed)} of {outcome.steps} steps changed something.")
    else:
        options.say(f"{team}: {outcome.steps} steps checked, nothing to change.")


@click.command("logs")
@click.argument("step", required=False)
@click.option("--role", metavar="ROLE", shell_complete=options.complete_role, help="Only steps of this role.")
@options.team
@options.common
def logs_command(step: str | None, role: str | None, team: str | None) -> None:
    """List the logs of the installer's steps, the newest last, or print one.

    STEP is a log's name, or a part of it that occurs in only one log's name.
    """
    home = Home()
    name = options.one_team(home, team)
    folder = home.lab(name).path / "logs"
    logs = sorted(folder.glob("*.log"), key=lambda log: log.stat().st_mtime)
    chosen = [log for log in logs if (not role or log.name.startswith(f"{role}-")) and (not step or step in log.name)]
    if not chosen:
        raise InputError(f"{name} has no such log" if logs else f"{name} has no logs of the installer yet")
    if step and len(chosen) > 1 and not (exact := [log for log in chosen if log.name == step]):
        raise InputError(f"{step} is in the names of {len(chosen)} logs", details="\n".join(log.name for log in chosen))
    if step:
        click.echo(printable((exact[0] if len(chosen) > 1 else chosen[0]).read_text(errors="replace")), nl=False)
        return
    for log in chosen:
        lines = log.read_text(errors="replace").splitlines() or [""]
        click.echo(f"{log.name}: {printable(lines[-1].strip())}")


@click.command("openrc")
@options.teams(required=False)
@click.option("--user", default="demo", show_default=True, help="demo or admin.")
@click.option("--clouds", is_flag=True, help="Print clouds.yaml, with both users, instead.")
@options.common
def openrc_command(teams: tuple[str, ...], user: str, clouds: bool) -> None:
    """Print the variables with which a shell logs in to a lab's cloud.

    The output contains a password. Its addresses are the lab's own: use it on a node, or in labctl enter. Several labs
    go into one clouds.yaml, as team01-demo, team01-admin and so on.

    \b
    labctl openrc team01 > openrc; labctl enter team01 -- sh -c '. ./openrc; openstack server list'
    labctl openrc team01..team10 --clouds > clouds.yaml
    """
    from labctl.cli.labs import teams_of
    from labctl.lab import install
    from labctl.roles import login
    from labctl.secret import reveal

    home = Home()
    named = teams_of(home, teams)
    if len(named) > 1 and not clouds:
        raise InputError(f"a shell logs in to one cloud, not to {len(named)}", remedy="Name one team, or use --clouds.")
    found = [install.cloud_on_record(home, team) for team in named]
    if user not in login.USERS:
        raise InputError(f"the cloud has no user {user}", details=f"There are: {', '.join(login.USERS)}")
    if len(found) > 1:
        text = login.clouds_of_teams(found)
    else:
        text = login.clouds_yaml(found[0]) if clouds else login.openrc(found[0], user)
    click.echo(reveal(text), nl=False)


def _dry_run(home: Home, team: str, *, until: str | None, only: str | None) -> None:
    from labctl.lab import install

    for task in install.tasks_of(home, team, until=until, only=only):
        for step in task.steps:
            click.echo(f"{step.node}: {task.role}: {step.title}")
            for action in step.actions:
                for line in action.describe().splitlines():
                    click.echo(f"    {line}")
    click.echo("Nothing was done.")


def _diff(home: Home, team: str, *, until: str | None, only: str | None) -> None:
    from labctl.cli.labs import site_of, working
    from labctl.lab import install

    steps = 0
    with site_of(home, team) as place, working(home, place) as work:
        for found in install.differences(work, team, until=until, only=only):
            steps += 1
            click.echo(f"{found.step.node}: {found.task.role}: {found.step.title}")
            for line in found.lines:
                click.echo(f"    {printable(line)}")
    click.echo(f"{steps} steps would change something. Nothing was done." if steps else "Nothing would change.")
