"""Golden sets as a table and a document; their secrets are in neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labctl.images.golden import GoldenManifest
from labctl.report.table import size, table


def document(golden: GoldenManifest) -> dict[str, Any]:
    """Return a set as a document."""
    return {
        "name": golden.name,
        "id": golden.id,
        "topology": golden.topology,
        "stage": golden.stage,
        "created": golden.created,
        "image": golden.image,
        "disks": {
            node: {"volume": disk.volume, "bytes": disk.size, "sha256": disk.sha256}
            for node, disk in golden.disks.items()
        },
    }


def lines(found: Sequence[GoldenManifest]) -> str:
    """Return the sets as people read them."""
    if not found:
        return "There are no golden sets. labctl golden bake gridka makes one."
    rows = [
        [golden.name, golden.id, golden.topology, golden.stage, len(golden.disks), size(golden.size), golden.created]
        for golden in found
    ]
    return table(["NAME", "ID", "TOPOLOGY", "STAGE", "DISKS", "SIZE", "CREATED"], rows)
