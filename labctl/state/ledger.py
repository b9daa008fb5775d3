"""Writes a lab's record while a command works on the lab: what is claimed, made, restored and ready."""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable
from dataclasses import replace

from labctl.plan.model import NodePlan
from labctl.state.home import LabFolder
from labctl.state.record import LabRecord


class Ledger:
    """The record of one lab while a command works on it; safe to use from many threads."""

    def __init__(self, folder: LabFolder, record: LabRecord) -> None:
        self._folder = folder
        self._record = record
        self._lock = threading.Lock()
        self.earlier = frozenset(record.volumes)  # what runs before this one claimed

    @property
    def record(self) -> LabRecord:
        """The record as it was last written."""
        return self._record

    def claim(self, volumes: set[str]) -> None:
        """Write down that these volumes are ours, before they are made."""
        with self._lock:
            if not volumes <= set(self._record.volumes):
                self._save(volumes=tuple(sorted(volumes | set(self._record.volumes))))

    def disown(self, volume: str) -> None:
        """Take back a claim, because somebody else made a volume of that name."""
        with self._lock:
            self._save(volumes=tuple(name for name in self._record.volumes if name != volume))

    def begin(self, missing: Iterable[NodePlan], *, restored: Container[str]) -> None:
        """Write down that these nodes are about to be made again.

        Their volumes are claimed, and they are not ready. Nodes that are `restored` have the captured lab's identity at
        first.
        """
        names = {node.name: node.generation for node in missing}
        volumes = set().union(*(node.volumes for node in missing)) | set(self._record.volumes)
        with self._lock:
            kept = {
                key: {name: number for name, number in getattr(self._record, key).items() if name not in names}
                for key in ("ready", "restored", "identified")
            }
            kept["restored"] |= {name: number for name, number in names.items() if name in restored}
            changes = {"volumes": tuple(sorted(volumes)), **kept}
            if any(getattr(self._record, key) != value for key, value in changes.items()):
                self._save(**changes)

    def boots(self, node: NodePlan) -> None:
        """Write down that a node boots instead of being restored. cloud-init then gives it this lab's identity."""
        with self._lock:
            if node.name in self._record.restored:
                self._save(restored={name: n for name, n in self._record.restored.items() if name != node.name})

    def identified(self, node: NodePlan) -> None:
        """Write down that a restored node has this lab's identity. From now on its users may change it."""
        with self._lock:
            self._save(identified=self._record.identified | {node.name: node.generation})

    def ready(self, node: NodePlan) -> None:
        """Write down that this generation of the node was seen ready."""
        with self._lock:
            self._save(ready=self._record.ready | {node.name: node.generation})

    def change(self, **changes: object) -> None:
        """Write down other values of the record."""
        with self._lock:
            self._save(**changes)

    def renew(self, nodes: list[str], **changes: object) -> None:
        """Write down that these nodes begin their next generation, which nobody has seen ready, and other changes."""
        with self._lock:
            generations = self._record.generations
            newer = {node: generations.get(node, 0) + 1 for node in nodes}
            self._save(generations=generations | newer, **changes)

    def _save(self, **changes: object) -> None:
        record = replace(self._record, **changes)  # type: ignore[arg-type]
        self._folder.save(record)
        self._record = record
