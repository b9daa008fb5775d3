"""Tables of labs that have no record."""

from __future__ import annotations

from typing import Any

from labctl.lab.orphans import Orphan
from labctl.report.table import table


def orphan_document(orphan: Orphan) -> dict[str, Any]:
    """Return what stands on a host of one lab without a record."""
    return {
        "team": orphan.team,
        "lab": str(orphan.lab),
        "topology": orphan.topology,
        "nodes": sorted(orphan.domains),
        "running": orphan.running,
        "networks": sorted(network.name for network in orphan.networks),
        "volumes": list(orphan.volumes),
        "unproven_volumes": list(orphan.unproven),
        "record": "damaged" if orphan.damaged else None,
    }


def orphans_table(found: list[Orphan]) -> str:
    """Return what stands on a host without a record, as people read it."""
    rows = [
        [
            orphan.team,
            orphan.topology,
            f"{len(orphan.domains)} ({orphan.running} on)",
            len(orphan.networks),
            len(orphan.volumes),
            "damaged" if orphan.damaged else "none",
        ]
        for orphan in found
    ]
    return table(["TEAM", "TOPOLOGY", "NODES", "NETWORKS", "DISKS", "RECORD"], rows)
