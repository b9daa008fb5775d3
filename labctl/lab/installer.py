"""Executes roles: steps in the order of their needs, side by side where they may, each with its log."""

from __future__ import annotations

import contextlib
import graphlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from labctl.changes import Context, Packages
from labctl.cloud.cloud import Cloud
from labctl.errors import InputError, LabctlError
from labctl.guest import Guest
from labctl.modes import private
from labctl.roles.role import ROLES, Step
from labctl.secret import scrub
from labctl.site.together import Cancelled
from labctl.state import parsed


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a role does for one node.

    Attributes:
        needs: names of the tasks that come before it.
        stands_on: the nodes of the roles that its role needs.
    """

    name: str
    role: str
    node: str
    steps: tuple[Step, ...]
    needs: tuple[str, ...] = ()
    stands_on: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an installation did: steps that were looked at, and titles of those that changed anything."""

    steps: int
    changed: tuple[str, ...]


class Journal:
    """Remembers which actions that are done once were done; a file of lines, each flushed to disk.

    Args:
        path: the file; missing is empty.
        generations: how often each node was made anew: an action on a node, or one whose role stands on other nodes'
            roles, is to be done again when any of them was.
    """

    def __init__(self, path: Path, generations: Mapping[str, int]) -> None:
        self._path = path
        self._generations = generations
        self._lock = threading.Lock()
        self._done: dict[str, dict[str, int]] = {}
        self._unsettled: set[str] = set()
        text = path.read_text(errors="replace") if path.exists() else ""
        for entry in map(_entry, text.splitlines()):
            if entry is not None:
                self._take(*entry)
        self._begin = "" if not text or text.endswith("\n") else "\n"  # a crash may have cut the last line off

    def holds(self, key: str) -> bool:
        """Whether it was done, and no node that it concerned was made anew since."""
        with self._lock:
            then = self._done.get(key)
        return then is not None and all(self._generations.get(node, 0) == number for node, number in then.items())

    def done(self) -> dict[str, tuple[str, ...]]:
        """Return all that holds, with the nodes that it concerned."""
        with self._lock:
            known = {key: tuple(then) for key, then in self._done.items()}
        return {key: nodes for key, nodes in known.items() if self.holds(key)}

    def note(self, key: str, nodes: Iterable[str]) -> None:
        """Write down that it was done."""
        self._write(key, {node: self._generations.get(node, 0) for node in nodes})

    def unsettled(self, place: str) -> bool:
        """Whether a task changed something on a node, and its units there may not have taken notice."""
        with self._lock:
            return place in self._unsettled

    def settle(self, place: str, *, settled: bool) -> None:
        """Write down that a task begins to change something on a node, or that it came to its end."""
        if self.unsettled(place) == settled:
            self._write(f"{_SETTLED if settled else _UNSETTLED}{place}", {})

    def _take(self, key: str, generations: dict[str, int]) -> None:
        if key.startswith(_UNSETTLED):
            self._unsettled.add(key.removeprefix(_UNSETTLED))
        elif key.startswith(_SETTLED):
            self._unsettled.discard(key.removeprefix(_SETTLED))
        else:
            self._done[key] = generations

    def _write(self, key: str, generations: dict[str, int]) -> None:
        with self._lock:
            self._take(key, generations)
            private(self._path.parent)
            with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as file:
                file.write(f"{self._begin}{json.dumps([key, generations])}\n")
                file.flush()
                os.fsync(file.fileno())
            self._begin = ""


@dataclass(frozen=True, kw_only=True)
class Installer:
    """Executes tasks.

    Attributes:
        guest: returns a node as a guest.
        logs: folder for a log per step.
        slow: how many times longer than on bare metal things may take.
        live: whether guests have their own kernels; else steps that need one are left out.
        report: receives role, node, what happens.
        remedy: what to do when a step failed.
    """

    cloud: Cloud
    guest: Callable[[str], Guest]
    journal: Journal
    logs: Path
    slow: float
    live: bool
    jobs: int
    report: Callable[[str, str, str], None]
    cancelled: threading.Event
    remedy: str = ""
    _nodes: dict[str, threading.Lock] = field(default_factory=dict)

    def run(self, tasks: Sequence[Task]) -> Outcome:
        """Execute tasks; what others need comes first. After a failure nothing new is begun.

        Raises:
            LabctlError: a step failed; the message names step, node, last lines and log.
            Cancelled: the event was set.
        """
        self._nodes.update({node.name: threading.Lock() for node in self.cloud.lab.nodes})
        private(self.logs)
        by_name = {task.name: task for task in tasks}
        order = graphlib.TopologicalSorter(
            {task.name: [need for need in task.needs if need in by_name] for task in tasks}
        )
        order.prepare()
        changed: list[str] = []
        running: dict[Future[list[str]], str] = {}
        with ThreadPoolExecutor(max_workers=max(1, self.jobs), thread_name_prefix="install") as executor:
            try:
                while order.is_active():
                    for name in order.get_ready():
                        running[executor.submit(self._task, by_name[name])] = name
                    finished, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        changed += future.result()
                        order.done(running.pop(future))
            except BaseException:
                self.cancelled.set()
                executor.shutdown(wait=True, cancel_futures=True)
                raise
        return Outcome(steps=sum(len(task.steps) for task in tasks), changed=tuple(changed))

    def _task(self, task: Task) -> list[str]:
        changed = []
        concerned = task.stands_on | {task.node}
        for number, step in enumerate(task.steps, start=1):
            if step.live and not self.live:
                continue
            if self.cancelled.is_set():
                raise Cancelled(f"{task.name} was cancelled")
            self.report(task.role, step.node, step.title)
            if self._step(task, step, self.logs / log_name(task, number, step), concerned | {step.node}):
                changed.append(f"{step.node}: {step.title}")
        for node in _nodes(task):
            self.journal.settle(f"{task.name}:{node}", settled=True)
        return changed

    def _step(self, task: Task, step: Step, log: Path, nodes: Collection[str]) -> bool:
        place = f"{task.name}:{step.node}"
        changed = False
        secrets = self.cloud.secrets
        began = time.monotonic()
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as file:

            def say(line: str) -> None:
                file.write(f"{time.monotonic() - began:7.1f} {scrub(line, secrets)}\n")
                file.flush()

            say(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {step.title}")
            # Units are to take notice of what an earlier step of the task changed, too.
            unsettled = self.journal.unsettled(place)
            context = Context(
                guest=self.guest(step.node),
                say=say,
                slow=self.slow,
                changed=unsettled,
                # Before the act: a file may be there when the connection is lost, or we are, before anybody tells.
                begins=partial(self.journal.settle, place, settled=False),
            )
            try:
                for action in step.actions:
                    key = f"{step.node}:{action.digest}"
                    if action.once and self.journal.holds(key):
                        continue
                    with self._nodes[step.node] if action.alone else contextlib.nullcontext():
                        did = action.apply(context)
                    if action.once:
                        self.journal.note(key, nodes)
                    changed |= did
                    if did and not context.changed:
                        context = replace(context, changed=True)
                    if not context.changed:
                        self.journal.settle(place, settled=True)  # it had begun, and found nothing to change
            except LabctlError as exc:
                say(f"failed: {exc}")
                if self.cancelled.is_set():
                    raise Cancelled(f"{step.node}: {step.title}: cancelled") from exc
                raise type(exc)(
                    f"{step.node}: {step.title}: failed",
                    details=scrub(f"{exc.brief}\n{exc.details}", secrets) + f"\nThe whole log: {log}",
                    remedy=self.remedy,
                ) from exc
            say("changed" if changed else "nothing to change")
            return changed


def plan_tasks(
    cloud: Cloud, *, until: str | None = None, only: str | None = None, on: Collection[str] | None = None
) -> list[Task]:
    """Return what is to be done for a cloud, in an order that respects the needs.

    Args:
        until: the last role; those that it needs come too, and those everywhere.
        only: this role alone.
        on: the nodes whose steps are wanted; None for all. Tasks without any are kept, for others wait for them.

    Raises:
        InputError: there is no such role in the cloud.
    """
    present = {role: cloud.nodes(role) for role in {name for node in cloud.lab.nodes for name in node.roles}}
    present |= {role.name: [node.name for node in cloud.lab.nodes] for role in ROLES if role.everywhere}
    for name in present:
        ROLES[name]  # raises for an unknown one
    for wanted in filter(None, (until, only)):
        if wanted not in present:
            ordered = ", ".join(order_of(present))
            raise InputError(f"no node of this lab has the role {wanted}", details=f"Its roles are: {ordered}")
    chosen = order_of(present)
    if only:
        chosen = [only]
    elif until:
        kept = needed(until, present) | {until}
        chosen = [name for name in chosen if name in kept or (ROLES[name].everywhere and not ROLES[name].follows)]
    names = {role: [f"{role}@{node}" for node in nodes] for role, nodes in present.items()}
    return [
        Task(
            name=f"{role}@{node}",
            role=role,
            node=node,
            steps=tuple(step for step in ROLES[role].steps(cloud, node) if on is None or step.node in on),
            needs=tuple(task for need in ROLES[role].follows for task in names.get(need, ())),
            stands_on=frozenset(other for need in needed(role, present) for other in present[need]),
        )
        for role in chosen
        for node in present[role]
    ]


def order_of(roles: Iterable[str]) -> list[str]:
    """Return roles so that each comes after those that it needs; ties by the tutorial's order, else by name."""
    wanted = set(roles)
    graph = {name: sorted(set(ROLES[name].follows) & wanted, key=_rank) for name in sorted(wanted, key=_rank)}
    return list(graphlib.TopologicalSorter(graph).static_order())


def needed(role: str, present: Iterable[str]) -> set[str]:
    """Return the roles that a role needs, those that they need too, as far as the cloud has them."""
    known, found, queue = set(present), set(), [role]
    while queue:
        for need in ROLES[queue.pop()].follows:
            if need in known and need not in found:
                found.add(need)
                queue.append(need)
    return found


def packages_first(tasks: Sequence[Task]) -> list[Task]:
    """Have every node install the packages of all its tasks before the first of them, all nodes at once.

    Role by role, nodes would install one after the other, and apt would begin anew for each role.
    """
    wanted: dict[str, list[str]] = {}
    for step in (step for task in tasks for step in task.steps):
        names = [name for action in step.actions if isinstance(action, Packages) for name in action.names]
        wanted.setdefault(step.node, []).extend(names)
    first = {node: _packages_task(node, names) for node, names in wanted.items() if names}
    later = [
        replace(task, needs=(*task.needs, *(first[node].name for node in _nodes(task) if node in first)))
        for task in tasks
    ]
    return [*first.values(), *later]


def log_name(task: Task, number: int, step: Step) -> str:
    """Return the name of a step's log: role, number, node."""
    return f"{task.role}-{task.node}-{number}-{re.sub('[^a-z0-9]+', '-', step.title.lower()).strip('-')[:40]}.log"


def _packages_task(node: str, names: Iterable[str]) -> Task:
    packages = Packages(names=tuple(dict.fromkeys(names)))
    step = Step(title="the packages of all that follows", node=node, actions=(packages,))
    return Task(name=f"packages@{node}", role="packages", node=node, steps=(step,))


def _nodes(task: Task) -> list[str]:
    return list(dict.fromkeys(step.node for step in task.steps))


# How the journal marks the names of steps; keys of actions begin with a node's name.
_UNSETTLED, _SETTLED = "!", "."


def _rank(role: str) -> tuple[int, str]:
    return ROLES[role].chapter, role


def _entry(line: str) -> tuple[str, dict[str, int]] | None:
    """Read a line of the journal; None for one that a crash cut off or somebody edited: what it noted is done again."""
    try:
        return parsed(line, tuple[str, dict[str, int]])
    except ValueError:
        return None
