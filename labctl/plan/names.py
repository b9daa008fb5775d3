"""Sees that labs which are made together do not want the same names on the host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from labctl.errors import InputError
from labctl.plan.model import LabPlan


def refuse_shared(labs: Iterable[LabPlan]) -> None:
    """Refuse labs of which two would have an object of the same name.

    Team and node are joined by a hyphen, which both may hold: lab and web-node, lab-web and node.

    Raises:
        InputError: there are such; the message names them.
    """
    owners: dict[str, str] = {}
    shared = []
    for lab in labs:
        for name in dict.fromkeys(_names(lab)):
            if (owner := owners.setdefault(name, lab.team)) != lab.team:
                shared.append(f"{owner} and {lab.team} would both have the {name}")
    if shared:
        raise InputError(
            "two of these labs would have objects of the same name",
            details="\n".join(shared),
            remedy="Give one of the teams another name, team01 for instance.",
        )


def _names(lab: LabPlan) -> Iterator[str]:
    yield from (f"network {network.name}" for network in lab.networks)
    for node in lab.nodes:
        yield f"domain {node.domain}"
        yield from (f"volume {volume}" for volume in sorted(node.volumes))
