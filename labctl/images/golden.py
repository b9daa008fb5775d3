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
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from labctl.errors import InputError, RefusedError
from labctl.hypervisor import Hypervisor, VolumeFacts
from labctl.hypervisor.memory import MOST, Head
from labctl.images.store import CREATED, LARGEST, check_name
from labctl.plan.model import DiskPlan, NodePlan
from labctl.render import xml
from labctl.state import parsed

GOLDEN, SNAPSHOT = "golden", "snapshot"
"""Kinds of sets."""

_MANIFEST_LIMIT = 16 * 1024**2
_STRICT: dict[str, Any] = {"extra": "forbid"}
_NODE = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_DISK = re.compile(rf"{_NODE.pattern}(/vd[b-z])?")


@dataclass(frozen=True, kw_only=True)
class GoldenDisk:
    """A node's disk in a set; sizes in bytes."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    volume: str
    size: int
    virtual_size: int
    sha256: str

    @property
    def sound(self) -> bool:
        """Whether a disk can be so large."""
        return self.size >= 0 and 0 < self.virtual_size <= LARGEST


@dataclass(frozen=True, kw_only=True)
class GoldenMemory:
    """A node's memory in a set: libvirt's save image, whose head is written anew for each node that it is restored as.

    Attributes:
        size: bytes of the whole image.
        sha256: of QEMU's stream, which is what follows the head.
        document, cookie, room: the head as it was saved (see `hypervisor.memory.Head`).
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

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

    @property
    def sound(self) -> bool:
        """Whether an image and its head can be so large."""
        return self.size >= 0 and 0 < self.room < MOST


@dataclass(frozen=True, kw_only=True)
class GoldenMachine:
    """Where memory was captured; it is restored only where all of this is the same.

    Attributes:
        virt: kvm, or qemu for emulation.
        qemu: QEMU's version.
        processor: the host's, which guests see under KVM; empty for emulation.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

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
        done: what the installer need not do again (see `installing.journal.Journal`).
        spec: the topology itself.
        memory: by node; empty where the set was baked.
        machine: where the memory was captured.
        probes: what was seen to work at that moment.
        nested: how instances run in each compute node.
        bare: nodes of an installed lab that stood at stage bare; in snapshots alone.
        installed: whether the lab's cloud was up; None where that was not noted.
        concerns: on which nodes some of what is done stands, so that it is undone when one of them is made anew.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

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
    bare: tuple[str, ...] = ()
    installed: bool | None = None
    concerns: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

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
        """Refuse what no set of labctl is, for what comes from elsewhere, with InputError.

        Names of volumes above all: they are made and deleted by these.
        """
        check_name(self.name.partition(".")[2] if self.kind == SNAPSHOT else self.name)
        own = re.compile(rf"{re.escape(self.stem)}-[a-z0-9.-]+")
        nodes = {name.partition("/")[0] for name in self.disks}
        known = self.spec.get("nodes", {})
        claims = (
            ("a kind", {self.kind} - {GOLDEN, SNAPSHOT}),
            ("an ID", {self.id} if not re.fullmatch("[0-9a-f]{12}", self.id) else set()),
            ("a stage", {self.stage} - {"bare", "installed"}),
            ("a time", {self.created} if not CREATED.fullmatch(self.created) else set()),
            ("its image", {self.image} if "/" in self.image else set()),
            ("its volumes", {name for name in self.volumes if not own.fullmatch(name)}),
            ("volumes once", {name for name in self.volumes if self.volumes.count(name) > 1}),
            ("its disks", {name for name in self.disks if not _DISK.fullmatch(name)}),
            ("its nodes", {*self.memory, *self.nested, *self.bare} - nodes),
            ("its topology's nodes", nodes - set(known) if isinstance(known, Mapping) and known else set()),
            ("sizes", {name for name, disk in self.disks.items() if not disk.sound}),
            ("sizes of memory", {name for name, memory in self.memory.items() if not memory.sound}),
            ("kinds of virtualisation", {*self.nested.values()} - {"kvm", "qemu"}),
        )
        wrong = [f"{what}: {', '.join(sorted(map(repr, strange)))}" for what, strange in claims if strange]
        if wrong:
            raise InputError(f"golden set {self.name} claims what is not its own", details="\n".join(wrong))

    def copies(self, node: NodePlan) -> dict[str, str]:
        """Return from which volume of the set each of a node's disks would be copied."""
        names = {disk.volume: disk_key(node, disk) for disk in node.disks}
        return {volume: self.disks[name].volume for volume, name in names.items() if name in self.disks}

    def to_json(self) -> str:
        """Return the manifest as a JSON document."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, document: str) -> Self:
        """Read what `to_json` wrote; ValueError when it is something else, whoever wrote it."""
        made = parsed(document, cls)
        try:
            made.check()
        except InputError as exc:
            raise ValueError(exc.details or exc.brief) from exc
        return made


def handles(sets: Iterable[GoldenManifest]) -> dict[str, str]:
    """Return what commands call each set, by ID: its name where no other has it, else its ID."""
    sets = list(sets)
    names = Counter(each.name for each in sets)
    return {each.id: each.name if names[each.name] == 1 else each.id for each in sets}


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
        for name in filter(self._manifest.fullmatch, known):
            volume = known.get(name)
            if volume is None or volume.capacity > _MANIFEST_LIMIT:
                continue
            try:
                document = self._hypervisor.download(self._pool, name, volume.capacity)
                manifest = GoldenManifest.from_json(document.decode())
            except ValueError:  # cut off while it was uploaded, or not ours
                continue
            if name == f"{manifest.stem}.json" and known.keys() >= set(manifest.volumes):
                found.append(manifest)
        return sorted(found, key=lambda manifest: manifest.created)

    def named(self, called: str, volumes: Mapping[str, VolumeFacts] | None = None) -> GoldenManifest:
        """Return the set of that ID, or the only one of that name.

        Raises:
            InputError: there is none, or there are several of that name.
        """
        every = self.every(volumes)
        found = [each for each in every if each.id == called] or [each for each in every if each.name == called]
        if not found:
            raise InputError(f"there is no {self._word} {called}", remedy=f"labctl {self._list} lists them.")
        if len(found) > 1:
            sort = {True: "with memory", False: "disks alone"}
            lines = [f"{each.id}: {each.stage}, {sort[bool(each.memory)]}, {each.created}" for each in found]
            raise InputError(
                f"{len(found)} {self._word}s are called {called}",
                details="\n".join(lines),
                remedy=f"Name one by its ID: {found[-1].id} is the newest.",
            )
        return found[0]

    def publish(self, manifest: GoldenManifest, disks: Mapping[str, Path], *, in_use: Container[str]) -> None:
        """Upload the disks, then the manifest; see `seal`.

        Args:
            disks: the files by node.
        """
        check_name(manifest.name)
        for node, disk in manifest.disks.items():
            self.upload(disk.volume, disks[node])
        self.seal(manifest, in_use=in_use)

    def upload(self, volume: str, file: Path) -> None:
        """Make a volume with the bytes of a file."""
        size = file.stat().st_size
        self._hypervisor.create_volume(self._pool, xml.volume_xml(volume, "raw", size))
        with file.open("rb") as content:
            self._hypervisor.upload(self._pool, volume, content, size)

    def seal(self, manifest: GoldenManifest, *, in_use: Container[str] = (), replaces: bool = True) -> None:
        """Upload the manifest of a set whose volumes are there: it is whole now.

        Args:
            in_use: IDs of sets that labs on record stand on.
            replaces: whether older sets of the name and sort are removed, unless something uses them. A set with memory
                and one that was baked are of two sorts: neither does what the other does.

        Raises:
            RefusedError: another installation on this host removed some of its volumes meanwhile.
        """
        document = manifest.to_json().encode()
        self._hypervisor.remove_volume(self._pool, f"{manifest.stem}.json")  # an import of it may have ended here
        self._hypervisor.create_volume(self._pool, xml.volume_xml(f"{manifest.stem}.json", "raw", len(document)))
        self._hypervisor.upload(self._pool, f"{manifest.stem}.json", io.BytesIO(document), len(document))
        volumes = self._hypervisor.volumes(self._pool)
        if not volumes.keys() >= set(manifest.volumes):
            for volume in (f"{manifest.stem}.json", *manifest.volumes):
                self._hypervisor.remove_volume(self._pool, volume)
            raise RefusedError(
                f"{self._word} {manifest.name} lost disks while it was published",
                details="Another labctl on this host published or removed one of the same name.",
                remedy="Run the command again when the other one has ended.",
            )
        kept = {
            other.stem
            for other in self.every(volumes)
            if not replaces
            or other.id in in_use
            or other.created > manifest.created
            or bool(other.memory) != bool(manifest.memory)
        }
        self._clear(manifest.name, volumes, keep=kept | {manifest.stem})

    def remove(self, called: str, *, in_use: Container[str] = ()) -> str:
        """Remove a set, and what interrupted runs left of its name; return its name.

        Args:
            called: its ID; or its name, where it alone has it.
            in_use: IDs of sets that labs on record stand on.

        Raises:
            InputError: there is no such set, or there are several of that name.
            RefusedError: labs stand on it.
        """
        volumes = self._hypervisor.volumes(self._pool)
        every = self.every(volumes)
        if called not in {name for each in every for name in (each.name, each.id)} and self._stems(called, volumes):
            self._clear(called, volumes, keep=())
            return called
        chosen = self.named(called, volumes)
        users = self._users(chosen.stem, volumes) or (["a lab on record"] if chosen.id in in_use else [])
        if users:
            raise RefusedError(
                f"{self._word} {called} is in use",
                details="Disks that use it: " + ", ".join(users),
                remedy="Destroy the labs that use it first.",
            )
        self._clear(chosen.name, volumes, keep={each.stem for each in every} - {chosen.stem})
        return chosen.name

    def _clear(self, name: str, volumes: Mapping[str, VolumeFacts], *, keep: Container[str]) -> None:
        """Delete sets of a name and what interrupted runs left of them, but for those that overlays stand on.

        Args:
            keep: the stems of those that stay.
        """
        for stem in self._stems(name, volumes):
            if stem not in keep and not self._users(stem, volumes):
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
