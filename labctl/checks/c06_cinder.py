"""C06: Cinder's services, as admin sees them."""

from __future__ import annotations

from collections.abc import Iterable

from labctl.checks import reports
from labctl.checks.log import Log, Wrong, cloud_check
from labctl.checks.reports import ServiceReport

_FREE = 2  # GiB that the pool must have left


@cloud_check(
    "C06",
    "Cinder's services report",
    exercises="Cinder's scheduler, volume service, LVM",
    needs=("C03:cinder",),
    quick=True,
    limit=(20, 60),
)
def services(log: Log) -> None:
    """Ask Cinder for its services: the scheduler, and the volume service of each back end that the plan has, and no
    other back end; enabled, and reported lately. The pool of lvm must have two gibibytes left."""
    cloud, node = log.cloud, log.cloud.node("cinder")
    if not node:
        log.skip("no node has the role cinder")
    others: set[str] = set()
    back_ends = ("lvm", "ceph") if cloud.nodes("ceph-mon") else ("lvm",)

    def ask() -> Iterable[ServiceReport]:
        for each in cloud.admin.block_storage.services():
            host, _, backend = each.host.partition("@")
            if backend not in ("", *back_ends):
                others.add(each.host)
            if each.updated_at:
                on, program = each.status == "enabled", _program(each.binary, backend)
                yield ServiceReport(binary=program, node=host, at=reports.moment(each.updated_at), on=on)

    volumes = cloud.nodes("cinder-volume")
    wanted = [("cinder-scheduler", node)]
    wanted += [(_program("cinder-volume", backend), each) for each in volumes for backend in back_ends]
    reports.judge(log, wanted, ask, "services")
    with log.step("back ends", node=volumes[0], suspect="cinder-volume", go_on=True):
        if others:
            raise Wrong(f"there is a back end that the plan does not have: {', '.join(sorted(others))}")
    with log.step("room in the pool", node=volumes[0], suspect="cinder-volume", go_on=True):
        pools = log.again(lambda: list(cloud.admin.block_storage.backend_pools()))
        pools = [each for each in pools if "@lvm#" in each.name]  # what is free in Ceph, nobody knows while it is away
        free = [(each.capabilities or {}).get("free_capacity_gb", 0) for each in pools]
        if not free:
            raise Wrong("the scheduler knows no pool")
        if max(float(each) for each in free) < _FREE:
            raise Wrong(f"{max(free)} GiB are free, fewer than {_FREE}")


def _program(binary: str, backend: str) -> str:
    """Return how a program is called that has a service for each back end."""
    return binary if backend in ("", "lvm") else f"{binary} ({backend})"
