"""B02: names."""

from __future__ import annotations

from collections.abc import Iterator

from labctl import quoting
from labctl.checks.check import Subject, check
from labctl.checks.model import Step, judged
from labctl.plan.model import NodePlan


def question(subject: Subject, node: NodePlan) -> str:  # noqa: ARG001 - every node is asked the same
    """Resolve every name as programs do, one call for all of them; tell which servers would be asked for others."""
    names = [name for entry in subject.lab.hosts for name in entry.names]
    known = f"getent ahostsv4 {quoting.shell_line(names)} | grep STREAM; " if names else ""
    return f"{known}sed -n 's/^nameserver  */nameserver /p' /etc/resolv.conf"


@check(
    "B02",
    "Every name means its node",
    exercises="/etc/hosts, /etc/nsswitch.conf, /etc/resolv.conf",
    needs=("B01",),
    asks=question,
    limit=(10, 60),
)
def names(subject: Subject) -> Iterator[Step]:
    """Resolve every name of the plan on every node; each must give the plan's address and no other. For all other names
    the node must ask the server of its management network."""
    planned = {name: str(entry.address) for entry in subject.lab.hosts for name in entry.names}
    servers = [str(network.gateway) for network in subject.lab.networks if network.gateway is not None]
    for node, answer in subject.said("B02"):
        found = _found(answer.text)
        wrong = [
            f"{name} is {', '.join(found.get(name, ())) or 'unknown'}, not {address}"
            for name, address in planned.items()
            if found.get(name) != [address]
        ]
        yield judged("; ".join(wrong[:4]), name="resolve", node=node.name, suspect="names", seconds=answer.seconds)
        asked = [line.split()[1] for line in answer.text.splitlines() if line.startswith("nameserver ")]
        trouble = "" if asked == servers else f"it asks {', '.join(asked) or 'nobody'}, not {', '.join(servers)}"
        yield judged(trouble, name="resolver", node=node.name, suspect="resolver")


def _found(text: str) -> dict[str, list[str]]:
    """Return name to its addresses; getent names only the first of several."""
    found: dict[str, list[str]] = {}
    last = ""
    for line in text.splitlines():
        match line.split():
            case [address, "STREAM", name]:
                found[last := name] = [address]
            case [address, "STREAM"] if last:
                found[last].append(address)
    return found
