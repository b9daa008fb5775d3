"""X2: quotas."""

from __future__ import annotations

from typing import Any

from labctl.checks.log import Log, Wrong, cloud_check

_NOVA = ("instances", "cores", "ram", "key_pairs")
_CINDER = ("volumes", "gigabytes", "snapshots")
_NEUTRON = ("networks", "subnets", "ports", "routers", "floating_ips", "security_groups", "security_group_rules")


@cloud_check(
    "X2",
    "The quotas have room for one more of everything",
    exercises="quotas of Nova, Cinder and Neutron; it explains C08, C10 and C12",
    needs=("C03:nova", "C03:cinder", "C03:neutron"),
    quick=True,
    limit=(20, 120),
)
def quotas(log: Log) -> None:
    """Compare the quotas of demo's project with what it uses: one more server, volume, network, port, floating address
    and so on must fit."""
    admin = log.cloud.admin
    project = log.ask("project", lambda: log.cloud.demo.current_project_id)
    for service, kinds, sets in (
        ("nova", _NOVA, lambda: admin.compute.get_quota_set(project, usage=True)),
        ("cinder", _CINDER, lambda: admin.block_storage.get_quota_set(project, usage=True)),
        ("neutron", _NEUTRON, lambda: admin.network.get_quota(project, details=True)),
    ):
        if not log.cloud.nodes(service):
            continue
        with log.step(service, node=log.cloud.node(service), suspect=f"{service}: the quota", go_on=True):
            full = _full(log.again(sets).to_dict(), kinds)
            if full:
                raise Wrong(f"no room for one more: {', '.join(full)}")


def _full(found: dict[str, Any], kinds: tuple[str, ...]) -> list[str]:
    """Return the kinds of which there may not be one more."""
    full = []
    for kind in kinds:
        limit, used = found.get(kind), (found.get("usage") or {}).get(kind, 0)
        if isinstance(limit, dict):  # Neutron tells both at once
            both: dict[str, Any] = limit
            limit, used = both.get("limit"), both.get("used", 0)
        if isinstance(limit, int) and isinstance(used, int) and 0 <= limit <= used:
            full.append(f"{kind} ({used} of {limit})")
    return full
