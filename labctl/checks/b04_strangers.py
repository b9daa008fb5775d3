"""B04: what must not answer."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.checks.check import Subject, check
from labctl.checks.model import Step, judged
from labctl.plan.model import NodePlan


def unused(subject: Subject, node: NodePlan) -> list[str]:
    """Return addresses where nobody may answer: the ends of the inner networks, and nodes of other labs."""
    taken = {nic.address for other in subject.lab.nodes for nic in other.nics}
    found = []
    for nic in node.nics:
        subnet = subject.lab.network(nic.network).subnet
        if nic.dhcp or nic.address is None or subnet is None:
            continue
        # A cloud's router has the last address of the public network.
        ends = (subnet[1], subnet[-2]) if subject.lab.stage == "bare" else (subnet[1],)
        found += [str(address) for address in ends if address not in taken]
    return [*found, *(str(address) for address in subject.strangers)]


def question(subject: Subject, node: NodePlan) -> str:
    """Ping all at once; print who answered."""
    lines = [
        f"{{ ping -n -q -c 1 -w 2 {address} >/dev/null 2>&1 && echo {address}; }} &"
        for address in unused(subject, node)
    ]
    return "\n".join([*lines, "wait; :"])


@check(
    "B04",
    "Nobody else answers",
    exercises="isolation of the networks, doubled addresses",
    needs=("B01",),
    asks=question,
    limit=(15, 60),
)
def strangers(subject: Subject) -> Iterator[Step]:
    """Ping addresses that are not in the plan, also those that the host could have, and nodes of other labs: none may
    answer."""
    for node, answer in subject.said("B04"):
        trouble = f"{', '.join(answer.text.split())} answers" if answer.text else ""
        yield judged(
            trouble,
            name="ping nobody",
            node=node.name,
            suspect="unplanned address",
            seconds=answer.seconds,
        )
