"""What the pages show and do: the classroom as it was seen last, and the use cases behind the buttons."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass

from labctl.errors import InputError, LabctlError, RefusedError
from labctl.lab import capture, check, reset, sabotage
from labctl.lab.classroom import Classroom
from labctl.report import classroom as views
from labctl.site import site
from labctl.site.progress import Phase
from labctl.site.work import Work
from labctl.sizes import size
from labctl.state import Home, records

_LOOK = 1.5  # seconds between looks; pages follow within two


@dataclass
class Job:
    """Something that a button began.

    Attributes:
        what: for people.
        state: running, done or failed.
        said: the last that it said, how it ended, or why it failed.
    """

    what: str
    state: str = "running"
    said: str = ""

    def node(self, team: str, node: str, phase: Phase, detail: str = "") -> None:
        """Note how far a node is."""
        self.said = f"{node} {phase}{f': {detail}' if detail else ''}"

    def say(self, text: str) -> None:
        """Note what happens."""
        self.said = text


class Desk:
    """Keeps looking at the classroom while it is open, and tells pages when something has changed.

    Args:
        look: sees the classroom once; called in a thread.
        failed: told what went wrong with looking.
    """

    def __init__(self, home: Home, *, look: Callable[[Home], Classroom], failed: Callable[[LabctlError], None]) -> None:
        self.home = home
        self.seen = Classroom()
        self.version = 0
        self.jobs: dict[str, Job] = {}
        self.closing = False
        self._look, self._failed = look, failed
        self._changed = asyncio.Condition()
        self._again = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._shown: object = None

    async def watch(self) -> None:
        """Look again and again."""
        while True:
            self._again.clear()
            try:
                await self._update(await asyncio.to_thread(self._look, self.home))
            except LabctlError as exc:
                self._failed(exc)
            try:
                async with asyncio.timeout(_LOOK):
                    await self._again.wait()
            except TimeoutError:
                continue

    async def refresh(self) -> None:
        """Look now: something was done by a page."""
        await self._update(await asyncio.to_thread(self._look, self.home))

    def look_again(self) -> None:
        """Look at once, and have pages load themselves again: something was done that the classroom does not show."""
        self._shown = None
        self._again.set()

    async def close(self) -> None:
        """Let pages that wait go. What a button began goes on to its end."""
        self.closing = True
        async with self._changed:
            self._changed.notify_all()

    async def changed(self, since: int, *, seconds: float) -> int:
        """Wait until the classroom is another than at a version, or the time is up; return the version."""
        async with self._changed:
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait_for(lambda: self.version != since or self.closing)
            except TimeoutError:
                pass
            return self.version

    def start_reset(self, team: str, node: str) -> None:
        """Begin to reset a node of a team's lab; pages show how it goes.

        Raises:
            InputError: the lab has no such node.
            RefusedError: the node is being reset already.
        """
        plan = records.lab_of(self.home, team).plan
        if node not in {each.name for each in plan.nodes}:
            raise InputError(f"{team} has no node {node}")

        def run(work: Work) -> str:
            reset.reset(work, team, [node])
            return ""

        self._start(f"{team}/{node}", f"{node} of {team}: reset", team, run)

    def start_heal(self, team: str) -> None:
        """Begin to undo what was broken in a team's lab on purpose, and to check it quickly.

        Raises:
            RefusedError: it is being healed already.
        """

        def run(work: Work) -> str:
            done, report = sabotage.heal(work, team, quick=True)
            return f"{len(done)} undone, {views.verdict(report)}"

        self._start(f"{team} heal", f"{team}: heal", team, run)

    def start_snapshot(self, team: str, name: str) -> None:
        """Begin to save a team's lab as it is.

        Raises:
            RefusedError: the lab is being saved already.
        """

        def run(work: Work) -> str:
            return size(capture.snapshot(work, team, name).size)

        self._start(f"{team} snapshot", f"{team}: snapshot {name}", team, run)

    def start_checks(self, team: str) -> None:
        """Begin the quick checks of a team's lab.

        Raises:
            RefusedError: they run already.
        """

        def run(work: Work) -> str:
            return views.verdict(check.check(work, team, quick=True))

        self._start(f"{team} checks", f"{team}: quick checks", team, run)

    def busy(self, key: str) -> bool:
        """Whether something that a button began goes on."""
        return key in self.jobs and self.jobs[key].state == "running"

    def _start(self, key: str, what: str, team: str, run: Callable[[Work], str]) -> None:
        if self.busy(key):
            raise RefusedError(f"{what} goes on already")
        job = self.jobs[key] = Job(what=what)
        task = asyncio.create_task(self._do(job, team, run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, job: Job, team: str, run: Callable[[Work], str]) -> None:
        def at_its_host() -> str:
            record = records.record_of(self.home, team)
            with site.opened(self.home, record.host, recorded=record.virt, start=False) as place:
                cancelled = threading.Event()
                jobs = place.settings.jobs
                return run(Work(home=self.home, site=place, jobs=jobs, progress=job, cancelled=cancelled))

        try:
            job.said = await asyncio.to_thread(at_its_host)
            job.state = "done"
        except LabctlError as exc:
            job.state, job.said = "failed", exc.brief
        self._again.set()

    async def _update(self, seen: Classroom) -> None:
        async with self._changed:
            shown = (_still(seen), [(job.state, job.said) for job in self.jobs.values()])
            if shown != self._shown:
                self._shown = shown
                self.version += 1
                self._changed.notify_all()
            self.seen = seen


def _still(seen: Classroom) -> object:
    """Return what pages must be told of: all but the clocks, which they run themselves; ages in minutes."""
    teams = {
        name: (
            dataclasses.replace(
                team,
                round=dataclasses.replace(team.round, left=0.0, idle=team.round.idle // 60) if team.round else None,
            ),
            (seen.at - team.checks.at) // 60 if team.checks else None,
        )
        for name, team in seen.teams.items()
    }
    return teams, [len(seat.events) for seat in seen.seats], seen.notices
