"""The sets in a host's storage pool: a whole lab at a stage, disks and perhaps memory, for labs to stand on.

A set is a volume per disk, `golden-NAME-ID-NODE.qcow2`, an overlay on a base image; where it was captured from a
running lab, a volume with the memory of each node, `golden-NAME-ID-NODE.memory`; and a manifest, `golden-NAME-ID.json`,
which is uploaded last. No manifest, no set: what an interrupted run leaves behind is never used, and the next one of
that name clears it away. Snapshots of labs are sets too, whose names begin with `snapshot-`.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from labctl.errors import InputError, RefusedError
from labctl.hypervisor import Hypervisor, VolumeFacts
from labctl.hypervisor.memory import Head
from labctl.images.store import check_name
from labctl.plan.model import DiskPlan, NodePlan
from labctl.render import xml

GOLDEN, SNAPSHOT = "golden", "snapshot"
"""Kinds of sets."""

_MANIFEST_LIMIT = 16 * 1024**2


@dataclass(frozen=True, kw_only=True)
class GoldenDisk:
    """A node's disk in a set; sizes in bytes."""

    volume: str
    size: int
    virtual_size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class GoldenMemory:
    """A node's memory in a set: libvirt's save image, whose head is written anew for each node that it is restored as.

    Attributes:
        size: bytes of the whole image.
        sha256: of QEMU's stream, which is what follows the head.
        document, cookie, room: the head as it was saved (see `hypervisor.memory.Head`).
    """

    volume: str
    size: int
    sha256: str
    document: str = field(repr=False)
    cookie: str = field(repr=False)
    room: int

    @property
    def head(self) -> Head:
        """The image's head as it was saved."""
        return Head(document=self.document, cookie=self.cookie, room=self.room, running=True)


@dataclass(frozen=True, kw_only=True)
class GoldenMachine:
    """Where memory was captured; it is restored only where all of this is the same.

    Attributes:
        virt: kvm, or qemu for emulation.
        qemu: QEMU's version.
        processor: the host's, which guests see under KVM; empty for emulation.
    """

    virt: str
    qemu: str
    processor: str


@dataclass(frozen=True, kw_only=True)
class GoldenManifest:
    """What is known about a set.

    Attributes:
        kind: golden, or snapshot of one lab.
        id: tells it from earlier ones of its name, 12 hexadecimal digits.
        topology, digest: name and hash of the topology that it is a lab of.
        stage: bare or installed.
        image: volume of the base image under its disks.
        os_info: libosinfo's ID of the nodes' system.
        created: when, RFC 3339 in UTC.
        disks: by node; those besides the system disk by NODE/DEVICE.
        secrets: the cloud's passwords and keys, which are on the disks too.
        done: what the installer need not do again (see `lab.installer.Journal`).
        spec: the topology itself.
        memory: by node; empty where the set was baked.
        machine: where the memory was captured.
        probes: what was seen to work at that moment.
        nested: how instances run in each compute node.
    """

    kind: str = GOLDEN
    name: str
    id: str
    topology: str
    digest: str
    stage: str
    image: str
    os_info: str
    created: str
    disks: Mapping[str, GoldenDisk]
    secrets: Mapping[str, str] = field(repr=False)
    done: tuple[str, ...] = field(repr=False)
    spec: Mapping[str, Any] = field(default_factory=dict, repr=False)
    memory: Mapping[str, GoldenMemory] = field(default_factory=dict)
    machine: GoldenMachine | None = None
    probes: tuple[str, ...] = ()
    nested: Mapping[str, str] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """How the names of its volumes begin."""
        return f"{self.kind}-{self.name}-{self.id}"

    @property
    def volumes(self) -> list[str]:
        """Names of its volumes, without the manifest's."""
        return [*(disk.volume for disk in self.disks.values()), *(memory.volume for memory in self.memory.values())]

    @property
    def size(self) -> int:
        """Bytes that its disks and memory take."""
        return sum(disk.size for disk in self.disks.values()) + sum(memory.size for memory in self.memory.values())

    def check(self) -> None:
        """Refuse names that are not a golden set's own, for what comes from elsewhere, with InputError."""
        check_name(self.name)
        own = re.compile(rf"golden-{re.escape(self.name)}-[0-9a-f]{{12}}-[a-z0-9.-]+")
        strange = [name for name in self.volumes if not (own.fullmatch(name) and name.startswith(f"{self.stem}-"))]
        if strange or self.kind != GOLDEN or len(set(self.volumes)) < len(self.volumes):
            raise InputError(
                f"golden set {self.name} claims what is not its own", details=", ".join(map(repr, strange)) or self.kind
            )

    def copies(self, node: NodePlan) -> dict[str, str]:
        """Return from which volume of the set each of a node's disks would be copied."""
        names = {disk.volume: disk_key(node, disk) for disk in node.disks}
        return {volume: self.disks[name].volume for volume, name in names.items() if name in self.disks}

    def to_json(self) -> str:
        """Return the manifest as a JSON document."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, document: str) -> Self:
        """Read what `to_json` wrote; ValueError, KeyError or TypeError when it is something else."""
        values = json.loads(document)
        machine = values.get("machine")
        converted = {
            "disks": {name: GoldenDisk(**disk) for name, disk in values["disks"].items()},
            "memory": {name: GoldenMemory(**memory) for name, memory in values.get("memory", {}).items()},
            "machine": GoldenMachine(**machine) if machine else None,
            "done": tuple(values["done"]),
            "probes": tuple(values.get("probes", ())),
        }
        return cls(**(values | converted))


def disk_key(node: NodePlan, disk: DiskPlan) -> str:
    """Return what a set calls a disk: the node's name, and for data disks the device too."""
    return node.name if disk is node.disks[0] else f"{node.name}/{disk.device}"


class GoldenStore:
    """The sets of one kind in one pool of a host."""

    def __init__(self, hypervisor: Hypervisor, pool: str, kind: str = GOLDEN) -> None:
        self._hypervisor = hypervisor
        self._pool = pool
        self._kind = kind
        self._manifest = re.compile(rf"{kind}-(?P<name>.+)-(?P<id>[0-9a-f]{{12}})\.json")

    def every(self, volumes: Mapping[str, VolumeFacts] | None = None) -> list[GoldenManifest]:
        """Return all whole sets, the oldest first.

        Args:
            volumes: the pool's volumes, where the caller has listed them already.
        """
        known = self._hypervisor.volumes(self._pool) if volumes is None else volumes
        found = []
        for name, volume in known.items():
            if not self._manifest.fullmatch(name) or volume.capacity > _MANIFEST_LIMIT:
                continue
            try:
                document = self._hypervisor.download(self._pool, name, volume.capacity)
                manifest = GoldenManifest.from_json(document.decode())
            except (ValueError, TypeError, KeyError):  # cut off while it was uploaded
                continue
            if known.keys() >= set(manifest.volumes):
                found.append(manifest)
        return sorted(found, key=lambda manifest: manifest.created)

    def newest(self, name: str) -> GoldenManifest:
        """Return the newest set of a name.

        Raises:
            InputError: there is none.
        """
        found = [manifest for manifest in self.every() if manifest.name == name]
        if not found:
            raise InputError(f"there is no {self._word} {name}", remedy=f"labctl {self._list} shows those there are.")
        return found[-1]

    def publish(self, manifest: GoldenManifest, disks: Mapping[str, Path]) -> None:
        """Upload the disks, then the manifest; older sets of the name that nothing uses are removed.

        Args:
            disks: the files by node.
        """
        check_name(manifest.name)
        for node, disk in manifest.disks.items():
            self.upload(disk.volume, disks[node])
        self.seal(manifest)

    def upload(self, volume: str, file: Path) -> None:
        """Make a volume with the bytes of a file."""
        size = file.stat().st_size
        self._hypervisor.create_volume(self._pool, xml.volume_xml(volume, "raw", size))
        with file.open("rb") as content:
            self._hypervisor.upload(self._pool, volume, content, size)

    def seal(self, manifest: GoldenManifest) -> None:
        """Upload the manifest of a set whose volumes are there: it is whole now, and the newest of its name."""
        document = manifest.to_json().encode()
        self._hypervisor.create_volume(self._pool, xml.volume_xml(f"{manifest.stem}.json", "raw", len(document)))
        self._hypervisor.upload(self._pool, f"{manifest.stem}.json", io.BytesIO(document), len(document))
        self.clear(manifest.name, keep=manifest.stem)

    def remove(self, name: str, *, in_use: Iterable[str] = ()) -> None:
        """Remove every set of that name.

        Args:
            in_use: IDs of sets that labs on record stand on.

        Raises:
            InputError: there is no such set.
            RefusedError: labs stand on it.
        """
        volumes = self._hypervisor.volumes(self._pool)
        if not self._stems(name, volumes):
            self.newest(name)  # which raises
        for manifest in self.every(volumes):
            if manifest.name != name:
                continue
            users = self._users(manifest.stem, volumes) or (["a lab on record"] if manifest.id in in_use else [])
            if users:
                raise RefusedError(
                    f"{self._word} {name} is in use",
                    details="Disks that stand on it: " + ", ".join(users),
                    remedy="Destroy the labs that use it first.",
                )
        self.clear(name, keep=None)

    def clear(self, name: str, *, keep: str | None) -> None:
        """Delete sets of a name and what interrupted runs left of them, but for those that overlays stand on.

        Args:
            keep: the stem of one that stays.
        """
        volumes = self._hypervisor.volumes(self._pool)
        for stem in self._stems(name, volumes) - {keep}:
            if not self._users(stem, volumes):
                self._hypervisor.remove_volume(self._pool, f"{stem}.json")
                for volume in volumes:
                    if volume.startswith(f"{stem}-"):
                        self._hypervisor.remove_volume(self._pool, volume)

    @property
    def _word(self) -> str:
        return "golden set" if self._kind == GOLDEN else self._kind

    @property
    def _list(self) -> str:
        return f"{self._kind} list"

    def _stems(self, name: str, volumes: Mapping[str, VolumeFacts]) -> set[str]:
        """Return how the volumes of a name's sets begin, whole or not."""
        ours = re.compile(rf"({self._kind}-{re.escape(name)}-[0-9a-f]{{12}})(\.json|-.*)")
        return {found[1] for volume in volumes if (found := ours.fullmatch(volume))}

    @staticmethod
    def _users(stem: str, volumes: Mapping[str, VolumeFacts]) -> list[str]:
        own = {name for name in volumes if name.startswith(f"{stem}-")}
        paths = {volumes[name].path for name in own}
        return sorted(volume.name for volume in volumes.values() if volume.backing in paths and volume.name not in own)
