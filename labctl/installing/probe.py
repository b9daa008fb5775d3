"""Tests what works in a cloud: runs the probes that end the roles' steps, through the nodes' guest agents.

Each program costs tenths of a second in an emulated node, so one script asks a node everything.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from labctl import quoting
from labctl.changes import Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.errors import DeadlineError
from labctl.installing.tasks import plan_tasks
from labctl.plan.model import LabPlan
from labctl.roles.role import ROLES
from labctl.roles.shared import listens
from labctl.site.site import Site

SECONDS = 90.0
"""How long a node's probes may take to hold, on bare metal."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A question to a node.

    Attributes:
        node: who is asked.
        about: whose work it proves; whether services report is asked of the database's node.
        what: what it proves, for people.
        line: a shell line that ends well when it holds.
    """

    node: str
    about: str
    what: str
    line: str


def probes(cloud: Cloud, *, until: str | None = None) -> list[Probe]:
    """Return what can be asked in a cloud: that units run, and what the roles' steps wait for at their ends.

    Args:
        until: the last role; None for all.
    """
    units: dict[str, list[str]] = {}
    waits: dict[tuple[str, str], Probe] = {}
    for task in plan_tasks(cloud, until=until):
        for step in task.steps:
            for each in step.actions:
                if isinstance(each, Unit) and each.on:
                    units.setdefault(step.node, []).extend(each.names)
                elif isinstance(each, Wait):
                    waits[step.node, each.until] = Probe(
                        node=step.node, about=task.node, what=each.what, line=each.until
                    )
    return [*(_active(node, list(dict.fromkeys(names))) for node, names in units.items()), *waits.values()]


def listeners(cloud: Cloud, name: str) -> list[Probe]:
    """Return the questions to the message queue whether those programs of a node listen that need not report."""
    found = []
    for role in ROLES:
        for program, topic in role.listens.items() if name in cloud.nodes(role.name) else ():
            line, what = listens(f"{topic}.{name}").until, f"{program} of {name} listens"
            found.append(Probe(node=cloud.node("rabbitmq"), about=name, what=what, line=line))
    return found


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


def ask(site: Site, lab: LabPlan, asked: Iterable[Probe], cancelled: threading.Event) -> None:
    """Wait until what is asked holds; one node after the other.

    Raises:
        DeadlineError: something does not; it is named.
    """
    seconds = SECONDS * site.pace.install
    by_node: dict[str, list[Probe]] = {}
    for each in asked:
        by_node.setdefault(each.node, []).append(each)
    for name, questions in by_node.items():
        node = lab.node(name)
        said = site.hypervisor.run_inside(
            node.uuid,
            "exec sh -s",
            stdin=script(questions, seconds).encode(),
            timeout=2 * seconds,
            cancelled=cancelled,
        )
        if said.exit_code:
            raise DeadlineError(
                f"{node.domain}: not yet: {said.stdout.strip() or said.stderr.strip()}",
                remedy=f"labctl ssh {name} -t {lab.team}; or labctl reset {name} -t {lab.team} --cold boots it.",
            )


def _active(node: str, units: list[str]) -> Probe:
    """Return the question whether units run, in one call of systemctl."""
    line = f"[ $(systemctl is-active {quoting.shell_line(units)} | grep -cx active) -eq {len(units)} ]"
    return Probe(node=node, about=node, what=f"{', '.join(units)}: active", line=line)
