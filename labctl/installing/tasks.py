"""Plans what roles do for a cloud: tasks in the order of their needs."""

from __future__ import annotations

import graphlib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from labctl.changes import Packages
from labctl.cloud.cloud import Cloud
from labctl.errors import InputError
from labctl.roles.role import ROLES, Step


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
    present |= {role: [node.name for node in cloud.lab.nodes] for role in everywhere()}
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
        kept = before(until, present) | {until}
        chosen = [name for name in chosen if name in kept]
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


def everywhere() -> set[str]:
    """Return the roles that every node has."""
    return {role.name for role in ROLES if role.everywhere}


def before(chapter: str, present: Iterable[str]) -> set[str]:
    """Return the roles that are installed before a chapter's: those that it needs, and what comes first everywhere."""
    known = set(present)
    first = {name for name in known if ROLES[name].everywhere and not ROLES[name].follows}
    return (needed(chapter, known) | first) - {chapter}


def packages_first(tasks: Sequence[Task]) -> list[Task]:
    """Put the packages of all tasks first, so that all nodes install them in parallel and apt runs once per node."""
    wanted: dict[str, list[str]] = {}
    for step in (step for task in tasks for step in task.steps):
        names = [name for action in step.actions if isinstance(action, Packages) for name in action.names]
        wanted.setdefault(step.node, []).extend(names)
    first = {node: _packages_task(node, names) for node, names in wanted.items() if names}
    later = [
        replace(task, needs=(*task.needs, *(first[node].name for node in nodes_of(task) if node in first)))
        for task in tasks
    ]
    return [*first.values(), *later]


def log_name(task: Task, number: int, step: Step) -> str:
    """Return the name of a step's log: role, number, node."""
    return f"{task.role}-{task.node}-{number}-{re.sub('[^a-z0-9]+', '-', step.title.lower()).strip('-')[:40]}.log"


def nodes_of(task: Task) -> list[str]:
    """Return the nodes that a task's steps are on."""
    return list(dict.fromkeys(step.node for step in task.steps))


def _packages_task(node: str, names: Iterable[str]) -> Task:
    packages = Packages(names=tuple(dict.fromkeys(names)))
    step = Step(title="packages of all roles that follow", node=node, actions=(packages,))
    return Task(name=f"packages@{node}", role="packages", node=node, steps=(step,))


def _rank(role: str) -> tuple[int, str]:
    return ROLES[role].chapter, role
