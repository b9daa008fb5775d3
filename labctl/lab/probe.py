"""Sees what works in a cloud: the probes that end its roles' steps, asked through the nodes' guest agents."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from labctl import quoting
from labctl.actions import Answer, Doing, Unit, Wait
from labctl.lab.install import SLOW
from labctl.lab.installer import plan_tasks
from labctl.lab.site import Site
from labctl.plan.model import NodePlan
from labctl.roles.cloud import Cloud


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A question to a node."""

    node: str
    wait: Wait


class AgentMachine:
    """A node that is spoken to through its guest agent: no network, no login."""

    def __init__(self, node: NodePlan, site: Site, cancelled: threading.Event) -> None:
        self.name = node.name
        self._node, self._site, self._cancelled = node, site, cancelled

    def run(self, command: str, *, timeout: float, stdin: bytes | None = None, **_: object) -> Answer:
        """Run a shell line; its exit code is for the caller to look at."""
        return self._site.hypervisor.run_inside(
            self._node.uuid, command, stdin=stdin or b"", timeout=timeout, cancelled=self._cancelled
        )

    def put(self, content: bytes, path: str, *, mode: int = 0o644, owner: str | None = None) -> None:
        """Refuse: a probe changes nothing."""
        raise NotImplementedError


def probes(cloud: Cloud, nodes: Iterable[str]) -> list[Probe]:
    """Return what can be asked of these nodes: that units run, and what a role's steps wait for at their ends."""
    wanted = set(nodes)
    found: dict[tuple[str, str], Probe] = {}
    for task in plan_tasks(cloud):
        for step in task.steps:
            for action in step.actions if step.node in wanted else ():
                asked = _runs(action) if isinstance(action, Unit) and action.on else action
                if isinstance(asked, Wait):
                    found.setdefault((step.node, asked.until), Probe(node=step.node, wait=asked))
    return list(found.values())


def _runs(unit: Unit) -> Wait:
    """Return the question whether units run."""
    line = f"for unit in {quoting.shell_line(unit.names)}; do systemctl -q is-active $unit || exit; done"
    return Wait(until=line, what=f"{', '.join(unit.names)}: active")


def pieces(
    site: Site, cloud: Cloud, nodes: Iterable[str], report: Callable[[str, str], None], cancelled: threading.Event
) -> list[Callable[[], None]]:
    """Return the work that waits until these nodes' probes hold, a piece per node.

    Args:
        report: receives a node and what it is asked.
    """
    asked = probes(cloud, nodes)
    by_node: dict[str, list[Probe]] = {}
    for probe in asked:
        by_node.setdefault(probe.node, []).append(probe)

    def ask(name: str, mine: list[Probe]) -> None:
        machine = AgentMachine(cloud.lab.node(name), site, cancelled)
        for probe in mine:
            report(name, probe.wait.what)
            probe.wait.apply(Doing(machine=machine, say=_nobody, slow=SLOW[site.virt]))

    return [partial(ask, name, mine) for name, mine in by_node.items()]


def _nobody(line: str) -> None:
    """Listen to nothing."""
