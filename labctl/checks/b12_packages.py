"""B12: packages."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.checks.check import Subject, check
from labctl.checks.model import Step, judged
from labctl.plan.model import NodePlan


def question(subject: Subject, node: NodePlan) -> str:  # noqa: ARG001
    """Have apt read its configuration and its sources, and dpkg its database; print complaints."""
    return (
        "apt-get indextargets --format '' 2>&1 >/dev/null | head -3; dpkg --audit 2>&1 | head -3; "
        "test -e /var/lib/dpkg/lock-frontend || echo 'dpkg has no lock file'"
    )


@check(
    "B12",
    "Packages can be installed",
    exercises="apt's configuration and sources, dpkg's database",
    needs=("B01",),
    asks=question,
    limit=(15, 90),
)
def packages(subject: Subject) -> Iterator[Step]:
    """Have apt read its configuration and sources on every node, and dpkg look for packages that are half installed."""
    for node, answer in subject.said("B12"):
        trouble = "; ".join(answer.text.splitlines()[:2])
        yield judged(trouble, name="apt and dpkg", node=node.name, suspect="apt", seconds=answer.seconds)
