"""B06: disks."""

from __future__ import annotations

import json
from collections.abc import Iterator

from labctl.checks.check import Subject, check
from labctl.checks.model import Step, judged
from labctl.plan.model import NodePlan


def question(subject: Subject, node: NodePlan) -> str:  # noqa: ARG001
    """List disks, and what is on them."""
    data = " ".join(f"/dev/{disk.device}" for disk in node.disks[1:])
    wipe = f"; for disk in {data}; do head -c 1048576 $disk | tr -d '\\0' | wc -c; done" if data else ""
    return f"lsblk -J -b -d -o NAME,SIZE,RO,TYPE; lsblk -J -o NAME,FSTYPE,MOUNTPOINTS{wipe}"


@check(
    "B06",
    "Disks are as planned",
    exercises="disks, their letters and sizes",
    needs=("B01",),
    asks=question,
    stages=("bare",),
    limit=(10, 60),
)
def disks(subject: Subject) -> Iterator[Step]:
    """Compare every node's disks with the plan: letters and sizes. Data disks must be empty, because the tutorial
    begins with empty ones."""
    for node, answer in subject.said("B06"):
        decoder = json.JSONDecoder()
        listed, end = decoder.raw_decode(answer.text)
        used, more = decoder.raw_decode(answer.text[end:].lstrip())
        bytes_used = answer.text[end:].lstrip()[more:].split()
        found = {disk["name"]: disk for disk in listed["blockdevices"] if disk["type"] == "disk"}
        wrong = []
        for disk in node.disks:
            if disk.device not in found:
                wrong.append(f"there is no {disk.device}")
            elif found[disk.device]["size"] < disk.capacity:
                wrong.append(f"{disk.device} has {found[disk.device]['size']} bytes, not {disk.capacity}")
            elif found[disk.device]["ro"]:
                wrong.append(f"{disk.device} is read-only")
        extra = sorted(found.keys() - {disk.device for disk in node.disks})
        wrong += [f"{name} is not in the plan" for name in extra]
        yield judged("; ".join(wrong), name="compare", node=node.name, suspect="disks", seconds=answer.seconds)
        on = {disk["name"]: disk for disk in used["blockdevices"]}
        full = [
            disk.device
            for disk, count in zip(node.disks[1:], bytes_used, strict=False)
            if count != "0" or on.get(disk.device, {}).get("children")
        ]
        trouble = f"{', '.join(full)} is not empty" if full else ""
        yield judged(trouble, name="empty data disks", node=node.name, suspect="data disk")
