"""Executes roles: steps in the order of their needs, in parallel where possible, each with its log."""

from __future__ import annotations

import contextlib
import graphlib
import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from labctl.changes import Context
from labctl.cloud.cloud import Cloud
from labctl.errors import LabctlError
from labctl.guest import Guest
from labctl.installing.journal import Journal
from labctl.installing.tasks import Task, log_name, nodes_of
from labctl.modes import private
from labctl.roles.role import Step
from labctl.secret import scrub
from labctl.site.together import Cancelled


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an installation did: steps that were looked at, and titles of those that changed anything."""

    steps: int
    changed: tuple[str, ...]


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
        """Execute tasks in the order of their needs. After a failure no further task is started.

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
        for node in nodes_of(task):
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
