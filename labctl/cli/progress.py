"""Shows what happens while it happens: a live table on a terminal, a line an event elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from labctl.errors import printable
from labctl.site.progress import Phase, Progress

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_STYLES = {
    Phase.DISKS: "cyan",
    Phase.NETWORKS: "cyan",
    Phase.STARTING: "cyan",
    Phase.RESTORING: "cyan",
    Phase.WAITING: "dim",
    Phase.RESUMING: "yellow",
    Phase.IDENTITY: "yellow",
    Phase.LEASE: "yellow",
    Phase.BOOTING: "yellow",
    Phase.LOGIN: "blue",
    Phase.SEEDING: "blue",
    Phase.READY: "green",
    Phase.INSTALLING: "magenta",
    Phase.PROVING: "magenta",
    Phase.INSTALLED: "green",
    Phase.SAVED: "blue",
    Phase.RESTORED: "green",
    Phase.STOPPING: "yellow",
    Phase.OFF: "dim",
    Phase.REMOVED: "dim",
    Phase.FAILED: "red",
}


@contextlib.contextmanager
def shown(*, quiet: bool) -> Iterator[Progress]:
    """Yield the progress that fits where our output goes."""
    if quiet:
        yield _Silent()
    elif sys.stderr.isatty():
        with _Live(_console()).running() as live:
            yield live
    else:
        yield _Lines()


def _console() -> Console:
    """Return a console that prints texts as they are: `[/dev/kvm]` and `:ok:` are no markup in what a program said."""
    from rich.console import Console

    return Console(stderr=True, markup=False, emoji=False, highlight=False)


class _Silent(Progress):
    """Says nothing."""

    def node(self, team: str, node: str, phase: Phase, detail: str = "") -> None:
        pass

    def say(self, text: str) -> None:
        pass


class _Lines(Progress):
    """A line an event, with the seconds since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def node(self, team: str, node: str, phase: Phase, detail: str = "") -> None:
        self._line(f"{team}  {node}  {phase}{f': {detail}' if detail else ''}")

    def say(self, text: str) -> None:
        self._line(text)

    def _line(self, text: str) -> None:
        click.echo(f"{time.monotonic() - self._began:7.1f} s  {printable(text)}", err=True)


class Remarks(Progress):
    """Prints what is said with the results, for a command that only looks."""

    def node(self, team: str, node: str, phase: Phase, detail: str = "") -> None:
        """Say nothing: no node is worked on."""

    def say(self, text: str) -> None:
        """Print a remark."""
        click.echo(printable(text))


class _Live(Progress):
    """A table that follows every node; one row a lab where nodes would not fit on the screen."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._phases: dict[str, dict[str, tuple[Phase, str, float]]] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def running(self) -> Iterator[_Live]:
        from rich.live import Live

        with Live(console=self._console, get_renderable=self._render, refresh_per_second=4):
            yield self

    def node(self, team: str, node: str, phase: Phase, detail: str = "") -> None:
        with self._lock:
            self._phases.setdefault(team, {})[node] = (phase, printable(detail), time.monotonic() - self._began)

    def say(self, text: str) -> None:
        self._console.print(printable(text))

    def _render(self) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        with self._lock:
            phases = {team: dict(nodes) for team, nodes in self._phases.items()}
        table = Table(box=None, pad_edge=False, show_header=False)
        fits = sum(map(len, phases.values())) + len(phases) < self._console.height - 2
        for team, nodes in sorted(phases.items()):
            if fits:
                for name, (phase, detail, at) in nodes.items():
                    table.add_row(team, name, Text(phase, _STYLES[phase]), Text(f"{at:.0f} s", "dim"), detail)
            else:
                counts = Counter(phase for phase, _, _ in nodes.values())
                words = [Text(f"{counts[phase]} {phase}", _STYLES[phase]) for phase in Phase if counts[phase]]
                table.add_row(team, Text(", ").join(words))
        table.add_row("", "", "", Text(f"{time.monotonic() - self._began:.0f} s", "dim"))
        return table
