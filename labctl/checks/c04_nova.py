"""C04: Nova's health, as admin sees it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from labctl.checks import reports
from labctl.checks.log import Log, Wrong, cloud_check
from labctl.checks.reports import ServiceReport

_TINY = {"VCPU": 1, "MEMORY_MB": 128, "DISK_GB": 1}


@cloud_check(
    "C04:services",
    "Nova's services report",
    exercises="queue, conductor, scheduler, compute nodes",
    needs=("C03:nova",),
    quick=True,
    limit=(20, 60),
)
def services(log: Log) -> None:
    """Ask Nova for its services: conductor, scheduler and an agent on every compute node must be there, enabled, and
    have reported lately. The age of the last report counts, for Nova itself takes them for up much longer."""
    cloud = log.cloud
    if not cloud.nodes("nova"):
        log.skip("no node has the role nova")
    wanted = [(f"nova-{each}", cloud.node("nova")) for each in ("conductor", "scheduler")]
    wanted += [("nova-compute", node) for node in cloud.nodes("compute")]

    def ask() -> Iterable[ServiceReport]:
        for each in cloud.admin.compute.services():
            if each.updated_at:
                at, on = reports.moment(each.updated_at), each.status == "enabled" and not each.is_forced_down
                yield ServiceReport(binary=each.binary, node=each.host, at=at, on=on)

    reports.judge(log, wanted, ask, "services")


@cloud_check(
    "C04:providers",
    "Placement knows room on the compute nodes",
    exercises="compute nodes' reports to Placement, libvirt",
    needs=("C03:nova", "C03:placement"),
    quick=True,
    limit=(20, 60),
)
def providers(log: Log) -> None:
    """Ask Nova for its hypervisors, and Placement for the room on each: every compute node must be known to both, and
    at least one have room for the smallest flavor."""
    cloud = log.cloud
    if not cloud.nodes("compute"):
        log.skip("no node has the role compute")
    names = log.ask(
        "hypervisors", lambda: {each.name for each in cloud.admin.compute.hypervisors(details=False)}, suspect="nova"
    )
    known = log.ask(
        "providers",
        lambda: {each.name: each.id for each in cloud.admin.placement.resource_providers()},
        suspect="placement",
    )
    full = []
    for node in cloud.nodes("compute"):
        with log.step("known", node=node, suspect="nova-compute"):
            if node not in names:
                raise Wrong(f"Nova has no hypervisor {node}")
            if node not in known:
                raise Wrong(f"Placement has no resource provider {node}")
        lacking = log.ask(
            "room",
            lambda: _lacking(cloud.admin.placement, known[node]),  # noqa: B023 - used at once
            node=node,
            suspect="nova-compute",
        )
        if lacking:
            full.append(f"{node} has no {', '.join(lacking)}")
    with log.step("room for m1.tiny", suspect="nova-compute"):
        if full and len(full) == len(cloud.nodes("compute")):
            raise Wrong("; ".join(full))


def _lacking(placement: Any, provider: str) -> list[str]:
    """Return what a provider has not enough of for the smallest flavor."""
    inventories = _get(placement, f"/resource_providers/{provider}/inventories")["inventories"]
    usages = _get(placement, f"/resource_providers/{provider}/usages")["usages"]

    def left(kind: str) -> float:
        found = inventories.get(kind)
        if found is None:
            return 0
        room = (found["total"] - found["reserved"]) * found["allocation_ratio"]
        return float(room - usages.get(kind, 0))

    return [kind for kind, need in _TINY.items() if left(kind) < need]


def _get(placement: Any, path: str) -> Any:
    from openstack.exceptions import raise_from_response

    answer = placement.get(path)
    raise_from_response(answer)
    return answer.json()
