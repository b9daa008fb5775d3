"""B02: names."""

from __future__ import annotations

from collections.abc import Iterator

from labctl import quoting
from labctl.checks.check import Subject, check
from labctl.checks.model import Step, judged
from labctl.plan.model import NodePlan


def question(subject: Subject, node: NodePlan) -> str:  # noqa: ARG001 - every node is asked the same
    """Resolve every name as programs do; one call for all of them."""
    names = [name for entry in subject.lab.hosts for name in entry.names]
    return f"getent ahostsv4 {quoting.shell_line(names)} | grep STREAM; :" if names else ":"


@check(
    "B02",
    "Every name means its node",
    exercises="/etc/hosts, /etc/nsswitch.conf",
    needs=("B01",),
    asks=question,
    limit=(10, 60),
)
def names(subject: Subject) -> Iterator[Step]:
    """Resolve every name of the plan on every node; each must give the plan's address and no other."""
    planned = {name: str(entry.address) for entry in subject.lab.hosts for name in entry.names}
    for node, answer in subject.said("B02"):
        found: dict[str, list[str]] = {}
        for line in answer.text.splitlines():
            match line.split():
                case [address, "STREAM", name]:
                    found.setdefault(name, []).append(address)
        wrong = [
            f"{name} is {', '.join(found.get(name, ())) or 'unknown'}, not {address}"
            for name, address in planned.items()
            if found.get(name) != [address]
        ]
        yield judged("; ".join(wrong[:4]), name="resolve", node=node.name, suspect="names", seconds=answer.seconds)
