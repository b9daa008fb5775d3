"""B09: the install medium."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.checks.check import Subject, check
from labctl.checks.model import Step, Verdict, judged
from labctl.plan.model import NodePlan


def question(subject: Subject, node: NodePlan) -> str:  # noqa: ARG001
    """Tell whether the medium is mounted, and which keystone apt would install; nothing where the lab has no medium."""
    if subject.lab.openstack is None or subject.lab.openstack.medium is None:
        return ":"
    return "findmnt -n -o FSTYPE /media/labctl || echo none; apt-cache policy keystone | grep Candidate"


@check(
    "B09",
    "The install medium is there",
    exercises="medium, its mount, apt's links to it",
    needs=("B01",),
    asks=question,
    stages=("bare",),
    limit=(10, 60),
)
def medium(subject: Subject) -> Iterator[Step]:
    """Look whether the medium is mounted in every node and apt would install keystone from it."""
    for node, answer in subject.said("B09"):
        if not answer.text:
            yield Step(name="medium", node=node.name, verdict=Verdict.SKIPPED, evidence="the lab has none")
            continue
        mounted, _, candidate = answer.text.partition("\n")
        trouble = "it is not mounted" if mounted == "none" else ""
        yield judged(trouble, name="mount", node=node.name, suspect="install medium", seconds=answer.seconds)
        trouble = "" if candidate.strip() and "(none)" not in candidate else "apt finds no keystone"
        yield judged(trouble, name="apt", node=node.name, suspect="apt")
