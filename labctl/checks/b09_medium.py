"""B09: the install medium."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.checks.check import Subject, check
from labctl.checks.model import Step, Verdict, judged
from labctl.plan.model import NodePlan


def question(subject: Subject, node: NodePlan) -> str:  # noqa: ARG001
    """Tell whether a medium is in the node's drive, whether it is mounted, and which keystone apt would install."""
    return (
        "test -e /dev/disk/by-label/labctl-medium || { echo none; exit; }; "
        "findmnt -n -o FSTYPE /media/labctl || echo unmounted; apt-cache policy keystone | grep Candidate"
    )


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
    """On every node the medium must be mounted, and apt must find keystone on it. Skipped if no node of the lab has a
    medium."""
    said = list(subject.said("B09"))
    if all(answer.text == "none" for _, answer in said):
        yield Step(name="medium", verdict=Verdict.SKIPPED, evidence="the lab has none")
        return
    for node, answer in said:
        mounted, _, candidate = answer.text.partition("\n")
        trouble = {"none": "it is not in the drive", "unmounted": "it is not mounted"}.get(mounted, "")
        yield judged(trouble, name="mount", node=node.name, suspect="install medium", seconds=answer.seconds)
        trouble = "" if candidate.strip() and "(none)" not in candidate else "apt finds no keystone"
        yield judged(trouble, name="apt", node=node.name, suspect="apt")
