"""B03: pings, with size."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.checks.check import Subject, check
from labctl.checks.model import Step, judged
from labctl.plan.model import NodePlan

_HEADERS = 28  # bytes of IP and ICMP
_MTU = 1500


def targets(subject: Subject, node: NodePlan) -> list[tuple[str, str, str]]:
    """Return what a node must reach: network, node, address; those on the networks that it is on itself."""
    own = {nic.network for nic in node.nics if nic.address is not None and not nic.dhcp}
    return [
        (nic.network, other.name, str(nic.address))
        for other in subject.lab.nodes
        if other.name != node.name
        for nic in other.nics
        if nic.network in own and nic.address is not None and not nic.dhcp
    ]


def question(subject: Subject, node: NodePlan) -> str:
    """Ping all at once, with the largest packets that may go in one piece; print who did not answer, and why."""
    size, wait = _MTU - _HEADERS, int(subject.scaled(2, 6))
    lines = [
        f"{{ said=$(ping -n -q -c 2 -i 0.3 -M do -s {size} -w {wait} {address} 2>&1) || "
        f'echo "{address} $(printf %s "$said" | grep -m1 -iE "mtu|unreach|permit|loss" || echo silent)"; }} &'
        for _, _, address in targets(subject, node)
    ]
    return "\n".join([*lines, "wait"])


@check(
    "B03",
    "Every node reaches every other",
    exercises="cards, addresses, masks, routes, MTU, both directions",
    needs=("B01",),
    asks=question,
    limit=(15, 90),
)
def reach(subject: Subject) -> Iterator[Step]:
    """Ping every other node from every node, on each network that both are on, with packets of the full MTU that must
    not be fragmented."""
    for node, answer in subject.said("B03"):
        # A node whose processor is taken sends one packet in the time for two: ping fails, but nothing was lost.
        lines = (line for line in answer.text.splitlines() if " 0% packet loss" not in line)
        silent = dict(line.partition(" ")[::2] for line in lines)
        wanted = targets(subject, node)
        for network in dict.fromkeys(network for network, _, _ in wanted):
            lost = [
                f"{other} ({address}): {silent[address].strip()}"
                for on, other, address in wanted
                if on == network and address in silent
            ]
            yield judged(
                "; ".join(lost[:3]),
                name=f"ping on {network}",
                node=node.name,
                suspect=f"network {network}",
                seconds=answer.seconds,
            )
