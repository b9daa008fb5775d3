"""Lists all labs on record with the states that their hosts report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from labctl.errors import LabctlError
from labctl.hypervisor import State
from labctl.lab import status
from labctl.site import site
from labctl.state import Home, LabRecord, records


@dataclass(frozen=True, kw_only=True)
class LabLine:
    """One lab on record.

    Attributes:
        record: None where it is damaged.
        states: libvirt's state (or `absent`, `foreign`) of each node; empty when the host does not answer.
        trouble: why the host does not answer, or what is damaged; empty when nothing is wrong.
    """

    team: str
    record: LabRecord | None
    nodes: int
    states: tuple[str, ...]
    trouble: str


def labs(home: Home) -> list[LabLine]:
    """List the labs, each host asked once; a private host that is down is not started for it."""
    lines = [
        LabLine(team=team, record=None, nodes=0, states=(), trouble="its record is damaged") for team in home.damaged()
    ]
    records = home.records()
    for host in sorted({record.host for record in records}):
        here = [record for record in records if record.host == host]
        try:
            with site.opened(home, host, start=False) as place:
                found = place.hypervisor.states()
                lines += [_line(place, record, found) for record in here]
        except LabctlError as exc:
            lines += [
                LabLine(
                    team=record.team, record=record, nodes=len(record.topology["nodes"]), states=(), trouble=exc.brief
                )
                for record in here
            ]
    return sorted(lines, key=lambda line: line.team)


def _line(place: site.Site, record: LabRecord, found: Mapping[tuple[str, UUID], State]) -> LabLine:
    """Describe a lab; its domains are told by name and UUID, which libvirt lists at once."""
    plan = records.plan_of(record)
    states = tuple(
        str(found.get((node.domain, node.uuid)) or status.state_of(place, plan, node)) for node in plan.nodes
    )
    return LabLine(team=record.team, record=record, nodes=len(plan.nodes), states=states, trouble="")
