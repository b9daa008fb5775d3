"""Tables of labs that have no record."""

from __future__ import annotations

from labctl.lab.orphans import Orphan
from labctl.report.table import table


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
