"""Compares nodes with what the installer would make of them; nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from labctl.changes import Action, Context
from labctl.errors import InputError
from labctl.guest import Guest
from labctl.installing.journal import Journal
from labctl.installing.tasks import Task
from labctl.roles.role import Step
from labctl.secret import scrub


@dataclass(frozen=True, kw_only=True)
class Pending:
    """What a step of a task would change.

    Attributes:
        lines: differences, and what is run; no secret of the cloud is in them.
    """

    task: Task
    step: Step
    lines: tuple[str, ...]


def pending(
    tasks: Sequence[Task], guest: Callable[[str], Guest], journal: Journal, *, secrets: Mapping[str, str], slow: float
) -> Iterator[Pending]:
    """Yield the steps that would change something, in the order in which they are made.

    Args:
        guest: returns a node.
        slow: how many times longer than on bare metal things may take.

    Raises:
        RemoteError, DeadlineError: a node cannot be looked at.
    """
    for task in tasks:
        for step in task.steps:
            context = Context(guest=guest(step.node), say=_nobody, slow=slow)
            said = [
                scrub(_said(action, context), secrets)
                for action in step.actions
                if not (action.once and journal.holds(f"{step.node}:{action.digest}"))
            ]
            if lines := tuple(line for text in said for line in text.splitlines()):
                yield Pending(task=task, step=step, lines=lines)


def _nobody(line: str) -> None:
    """Looking says nothing of its own."""


def _said(action: Action, context: Context) -> str:
    """Say what an action would change; what it would do where it needs what an earlier step has yet to make."""
    try:
        return action.pending(context)
    except InputError:
        return action.describe()
