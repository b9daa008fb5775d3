"""B05: clocks."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.checks.check import Subject, check
from labctl.checks.model import Step, judged
from labctl.plan.model import NodePlan


def question(subject: Subject, node: NodePlan) -> str:  # noqa: ARG001
    """Tell the time, and whether anybody keeps it."""
    return "date -u +%s.%N; systemctl is-active chrony; date +%Z"


@check("B05", "Clocks are in step", exercises="clock, chrony", needs=("B01",), asks=question, limit=(10, 60))
def time(subject: Subject) -> Iterator[Step]:
    """Compare every node's clock with this machine's; the time service must run."""
    near = subject.scaled(3.0, 8.0)  # an answer of an emulated node is late
    for node, answer in subject.said("B05"):
        clock, service, _ = answer.text.split()
        ahead = float(clock) - min(max(float(clock), answer.at), answer.at + answer.seconds)
        trouble = f"{abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}" if abs(ahead) > near else ""
        yield judged(trouble, name="compare", node=node.name, suspect="clock", seconds=answer.seconds)
        trouble = "" if service == "active" else f"chrony is {service}"
        yield judged(trouble, name="time service", node=node.name, suspect="chrony")
