"""Options and arguments that many commands share, and what they are resolved to."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from labctl.errors import InputError, LabctlError
from labctl.state import Home

F = TypeVar("F", bound=Callable[..., Any])
_QUIET = "labctl.quiet"
_TRACE = "labctl.trace"
_ID = re.compile(r"[A-Z]{1,2}-?[0-9]{1,2}(:[a-z-]+)?")


def common(command: F) -> F:
    """Add the options that every command has; `quiet` and `say` know them, no command needs to."""
    for option in (
        _flag("--debug", "Show a traceback when something fails.", _debug),
        _flag("-v", "--verbose", "Print every call to libvirt and its duration.", _verbose),
        _flag("-q", "--quiet", "Print only results and errors.", _quiet),
    ):
        command = option(command)
    return command


def quiet() -> bool:
    """Whether the running command was told to be quiet."""
    return click.get_current_context().meta.get(_QUIET, False) is True


def say(text: str) -> None:
    """Tell what was done, unless the running command was told to be quiet."""
    if not quiet():
        click.echo(text)


def confirm(question: str, *, no: str) -> None:
    """Ask on the terminal; when the answer is no, say what that means and end the command with 1."""
    if not click.confirm(question):
        click.echo(no, err=True)
        raise click.exceptions.Exit(1)


def set_aside(home: Home) -> None:
    """Name the labs whose records are damaged, for commands that look at all records and go on without them."""
    for error in home.damaged().values():
        click.echo(f"Set aside: {error.brief}: {error.details.splitlines()[0]}\n  → {error.remedy}", err=True)


def host(command: F) -> F:
    """Add --host."""
    return click.option(
        "--host",
        metavar="HOST",
        envvar="LABCTL_HOST",
        help="A private host's name, a host file's name or a libvirt URI. Default: this machine's libvirt if it "
        "answers, else the private host 'local'.",
    )(command)


def output(command: F) -> F:
    """Add -o/--output."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json", "yaml"]),
        default="table",
        show_default=True,
        help="The format of the output.",
    )(command)


def jobs(command: F) -> F:
    """Add --jobs."""
    return click.option(
        "-j", "--jobs", type=click.IntRange(1, 64), help="How many libvirt calls run at a time.  [default: the host's]"
    )(command)


def topology(command: F) -> F:
    """Add --topology."""
    return click.option(
        "--topology",
        metavar="NAME|FILE",
        shell_complete=complete_topology,
        help="A shipped topology or your own file. Default: gridka; for an existing lab, its own.",
    )(command)


def stage(command: F) -> F:
    """Add --stage."""
    return click.option(
        "--stage",
        type=Stage(),
        help="bare: plain nodes; installed: a running cloud; after:glance: its first chapters, up to Glance's. "
        "Default: bare; with --from, the golden set's.",
    )(command)


def overcommit(command: F) -> F:
    """Add --overcommit."""
    return click.option("--overcommit", is_flag=True, help="Continue even if the host has too little room.")(command)


def no_wait(command: F) -> F:
    """Add --no-wait."""
    return click.option(
        "--no-wait", "wait", flag_value=False, default=True, type=bool, help="Return before the nodes are ready."
    )(command)


def trace(command: F) -> F:
    """Add --trace; `traced` knows it."""
    return click.option(
        "--trace",
        type=click.Path(dir_okay=False, writable=True),
        expose_value=False,
        callback=_trace,
        help="Write where the seconds go to a file, for ui.perfetto.dev or chrome://tracing.",
    )(command)


def traced() -> str | None:
    """Return the file that the running command writes its trace to, if any."""
    found = click.get_current_context().meta.get(_TRACE)
    return found if isinstance(found, str) else None


def verbose() -> bool:
    """Whether the running command was told to be verbose."""
    import logging

    return logging.getLogger("labctl").level == logging.INFO


def team(command: F) -> F:
    """Add -t/--team, for commands that name nodes."""
    return click.option(
        "-t",
        "--team",
        metavar="TEAM",
        envvar="LABCTL_TEAM",
        shell_complete=complete_team,
        help="The lab's team. Default: LABCTL_TEAM, else the team of labctl use, else the only lab.",
    )(command)


def teams(*, required: bool) -> Callable[[F], F]:
    """Add the argument TEAM..., which takes ranges."""
    metavar = "TEAM..." if required else "[TEAM]..."
    return click.argument("teams", metavar=metavar, nargs=-1, required=required, shell_complete=complete_team)


def complete_team(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the teams that have labs."""
    names = sorted(path.parent.name for path in (Home().root / "labs").glob("*/lab.json"))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_node(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the nodes of the chosen team's lab."""
    try:
        record = Home().lab(one_team(Home(), ctx.params.get("team"))).load()
    except LabctlError:
        return []
    names = record.topology["nodes"] if record else ()
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_golden(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the golden sets of the host; nothing is started to ask it."""
    from labctl.sets import store
    from labctl.sets.manifest import handles
    from labctl.site import site

    try:
        with site.opened(Home(), ctx.params.get("host"), start=False) as place:
            names = sorted(handles(store.golden(place).every()).values())
    except LabctlError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_topology(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the shipped topologies, and files."""
    from labctl.spec.topology import shipped

    names = [CompletionItem(name) for name in shipped() if name.startswith(incomplete)]
    return [*names, CompletionItem(incomplete, type="file")]


def expand(patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the teams that the patterns stand for; team01..team03 stands for three."""
    from labctl.spec import teams as spec

    return spec.expand(patterns)


class Stage(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """The stage of a lab: bare, installed, or after:ROLE."""

    name = "stage"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Return what help calls a value."""
        return "bare|installed|after:ROLE"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what no stage is called."""
        if value not in ("bare", "installed") and not re.fullmatch("after:[a-z][a-z0-9-]*", value):
            self.fail(f"{value!r} is no stage. There are bare, installed, and after:ROLE (after:glance).", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer all stages."""
        names = ["bare", "installed", *(f"after:{each.value}" for each in complete_role(ctx, param, ""))]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_role(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the roles of clouds."""
    from labctl.roles.role import ROLES

    return [CompletionItem(role.name, help=role.title) for role in ROLES if role.name.startswith(incomplete)]


def ids_and_teams(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words that look like IDs of checks or faults (B03, KS-04), and the others: teams or ranges."""
    ids = tuple(word for word in words if _ID.fullmatch(word))
    return ids, tuple(word for word in words if word not in ids)


def one_of(patterns: Sequence[str]) -> str:
    """Return the one team that the patterns stand for.

    Raises:
        InputError: they stand for several.
    """
    found = expand(patterns)
    if len(found) != 1:
        raise InputError(f"{len(found)} teams are named", remedy="Name one.")
    return found[0]


def one_team(home: Home, named: str | None) -> str:
    """Return the team that a command is about.

    Raises:
        InputError: none is named, none is chosen, and there is not exactly one lab.
    """
    if named or (named := os.environ.get("LABCTL_TEAM") or home.team):
        teams = expand([named])
        if len(teams) != 1:
            raise InputError(f"{named} is {len(teams)} teams", remedy="Name one.")
        return teams[0]
    labs = sorted([*(record.team for record in home.records() if not record.waits), *home.damaged()])
    if len(labs) == 1:
        return labs[0]
    raise InputError(
        "which team's lab?",
        details=f"There are labs of {', '.join(labs)}." if labs else "There are no labs.",
        remedy="Name it with --team, or choose it with labctl use TEAM." if labs else "labctl create team01",
    )


def place(text: str, *, port: int) -> tuple[str, int]:
    """Read HOST or HOST:PORT, an IPv6 address in brackets; return host and port.

    Args:
        port: the one that is meant where none is named.

    Raises:
        InputError: it is something else.
    """
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._][A-Za-z0-9._-]*))(?::([0-9]{1,5}))?", text)
    named = int(found[3] or port) if found else 0
    if not found or not 0 < named < 65536:
        raise InputError(f"{text!r} is no door", remedy="Write HOST or HOST:PORT; an IPv6 address in brackets.")
    return found[1] or found[2], named


def _flag(*declaration: Any) -> Callable[[F], F]:
    *names, text, callback = declaration
    return click.option(*names, is_flag=True, expose_value=False, callback=callback, help=text)


def _debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        os.environ["LABCTL_DEBUG"] = "1"


def _quiet(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_QUIET] = True


def _trace(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    ctx.meta[_TRACE] = value


def _verbose(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        import logging

        logging.basicConfig(format="%(relativeCreated)7.0f ms  %(message)s")
        logging.getLogger("labctl").setLevel(logging.INFO)
