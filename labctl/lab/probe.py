"""Sees what works in a cloud: the probes that end its roles' steps, asked through the nodes' guest agents.

Programs cost tenths of a second each in an emulated node: a node is asked everything by one script.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from labctl import quoting
from labctl.actions import Unit, Wait
from labctl.errors import DeadlineError
from labctl.lab.install import SLOW
from labctl.lab.installer import plan_tasks
from labctl.lab.site import Site
from labctl.plan.model import NodePlan
from labctl.roles.cloud import Cloud

SECONDS = 90.0
"""How long a node's probes may take to hold, on bare metal."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A question to a node.

    Attributes:
        what: what it proves, for people.
        line: a shell line that ends well when it holds.
    """

    what: str
    line: str


def probes(cloud: Cloud, node: str) -> list[Probe]:
    """Return what can be asked of a node: that units run, and what its roles' steps wait for at their ends."""
    actions = [
        action for task in plan_tasks(cloud) for step in task.steps if step.node == node for action in step.actions
    ]
    units = list(dict.fromkeys(name for each in actions if isinstance(each, Unit) and each.on for name in each.names))
    waits = {each.until: Probe(what=each.what, line=each.until) for each in actions if isinstance(each, Wait)}
    return [*(_active(units) if units else ()), *waits.values()]


def script(asked: Iterable[Probe], seconds: float) -> str:
    """Return a shell script that waits until all probes hold; late, it prints the first that does not, and fails."""
    lines = [
        f"end=$(($(date +%s) + {seconds:.0f}))",
        'late() { [ "$(date +%s)" -lt "$end" ] || { echo "$1"; exit 1; }; sleep 0.5; }',
    ]
    lines += [
        f"until ( {each.line} ) >/dev/null 2>&1 </dev/null; do late {quoting.shell(each.what)}; done" for each in asked
    ]
    return "\n".join(lines) + "\n"


def ask(site: Site, cloud: Cloud, node: NodePlan, cancelled: threading.Event) -> None:
    """Wait until all that can be asked of a node holds.

    Raises:
        DeadlineError: something does not; it is named.
    """
    seconds = SECONDS * SLOW[site.virt]
    text = script(probes(cloud, node.name), seconds)
    said = site.hypervisor.run_inside(
        node.uuid, "exec sh -s", stdin=text.encode(), timeout=2 * seconds, cancelled=cancelled
    )
    if said.exit_code:
        raise DeadlineError(
            f"{node.domain}: not yet: {said.stdout.strip() or said.stderr.strip()}",
            remedy=f"labctl ssh {node.name}; or labctl reset {node.name} --cold boots it.",
        )


def _active(units: list[str]) -> Iterator[Probe]:
    """Yield the question whether units run: all of them at once, for systemctl is a program too."""
    line = f"[ $(systemctl is-active {quoting.shell_line(units)} | grep -cx active) -eq {len(units)} ]"
    yield Probe(what=f"{', '.join(units)}: active", line=line)
