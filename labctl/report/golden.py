"""Golden sets as a table and a document; their secrets are in neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from labctl.report.table import table
from labctl.sets.manifest import GoldenManifest
from labctl.sizes import size


def document(golden: GoldenManifest) -> dict[str, Any]:
    """Return a set as a document."""
    return {
        "name": golden.name,
        "id": golden.id,
        "topology": golden.topology,
        "stage": golden.stage_name,
        "created": golden.created,
        "image": golden.image,
        "digest": golden.digest,
        "bytes": golden.size,
        "disks": {
            node: {"volume": disk.volume, "bytes": disk.size, "sha256": disk.sha256}
            for node, disk in golden.disks.items()
        },
        "memory": {
            node: {"volume": memory.volume, "bytes": memory.size, "sha256": memory.sha256}
            for node, memory in golden.memory.items()
        },
        "machine": asdict(golden.machine) if golden.machine else None,
        "probes": list(golden.probes),
    }


def details(golden: GoldenManifest, obstacle: str) -> str:
    """Return one set as people read it.

    Args:
        obstacle: why its memory cannot be restored on this host; empty when it can.
    """
    machine = golden.machine
    head = [
        ["name", golden.name],
        ["id", golden.id],
        ["topology", f"{golden.topology}, {golden.digest[:12]}"],
        ["stage", golden.stage_name],
        ["created", golden.created],
        ["stands on", golden.image],
    ]
    if machine is not None:
        where = ", ".join(filter(None, (machine.virt, f"QEMU {machine.qemu}", machine.processor)))
        head.append(["captured with", where])
        head.append(["memory", obstacle or "can be restored here"])
    names = dict.fromkeys([*golden.disks, *golden.memory])
    parts = [
        [
            name,
            size(golden.disks[name].size) if name in golden.disks else "",
            size(golden.memory[name].size) if name in golden.memory else "",
        ]
        for name in names
    ]
    probes = "\n\nSeen to work when it was captured:\n  " + "\n  ".join(golden.probes) if golden.probes else ""
    return f"{table(['', ''], head)}\n\n{table(['NODE', 'DISK', 'MEMORY'], parts)}{probes}"


def lines(found: Sequence[GoldenManifest]) -> str:
    """Return the sets as people read them."""
    if not found:
        return "There are no golden sets. labctl golden bake gridka makes one."
    rows = [
        [
            *(golden.name, golden.id, golden.topology, golden.stage_name, len(golden.disks)),
            *("yes" if golden.memory else "no", size(golden.size), golden.created),
        ]
        for golden in found
    ]
    return table(["NAME", "ID", "TOPOLOGY", "STAGE", "DISKS", "MEMORY", "SIZE", "CREATED"], rows)


def snapshots(found: Sequence[tuple[str, GoldenManifest]]) -> str:
    """Return a lab's snapshots as people read them."""
    if not found:
        return "The lab has no snapshots. labctl snapshot save NAME makes one."
    rows = [[name, each.stage_name, size(each.size), each.created] for name, each in found]
    return table(["NAME", "STAGE", "SIZE", "CREATED"], rows)
