"""B01: the way into every node."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.checks.check import Subject, check
from labctl.checks.model import Step, judged
from labctl.plan.model import NodePlan


def question(subject: Subject, node: NodePlan) -> str:  # noqa: ARG001
    """Ask nothing: the way to the question is what is checked."""
    return ":"


@check("B01", "Every node lets us in", exercises="management network, sshd, host keys, root's account", asks=question)
def login(subject: Subject) -> Iterator[Step]:
    """Log in to every node as root by the management network; its host key must be the one that the lab gave it."""
    for node in subject.lab.nodes:
        yield judged(subject.logins.get(node.name, ""), name="log in", node=node.name, suspect="sshd or its network")
