"""What is known about a golden set or a snapshot: its manifest."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

from labctl.errors import InputError
from labctl.hypervisor.memory import MOST, Head
from labctl.images.store import CREATED, LARGEST, check_name
from labctl.plan.lab import stage_name
from labctl.plan.model import DiskPlan, NodePlan
from labctl.state import parsed

GOLDEN, SNAPSHOT = "golden", "snapshot"
"""Kinds of sets."""

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
        """Whether the sizes are possible."""
        return self.size >= 0 and 0 < self.virtual_size <= LARGEST


@dataclass(frozen=True, kw_only=True)
class GoldenMemory:
    """A node's memory in a set: libvirt's save image. Its head is rewritten for each node that is restored from it.

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
        """Whether the sizes are possible."""
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
        chapter: the last role whose chapter is in a bare lab; empty for none.
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
        canary: the server that stays in its cloud for checks to look at (see `checks.canary.Canary`); empty for none.
        times: how long its checks took (see `checks.limits`).
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
    canary: Mapping[str, str] = field(default_factory=dict, repr=False)
    times: Mapping[str, tuple[float, ...]] = field(default_factory=dict, repr=False)
    chapter: str = ""

    @property
    def stage_name(self) -> str:
        """What people call its stage: bare, installed, or after:glance."""
        return stage_name(self.stage, self.chapter)

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
        """Refuse a manifest that labctl cannot have written, with InputError.

        The names of volumes matter most, because volumes are made and deleted by these names.
        """
        check_name(self.name.partition(".")[2] if self.kind == SNAPSHOT else self.name)
        own = re.compile(rf"{re.escape(self.stem)}-[a-z0-9.-]+")
        nodes = {name.partition("/")[0] for name in self.disks}
        known = self.spec.get("nodes", {})
        claims = (
            ("a kind", {self.kind} - {GOLDEN, SNAPSHOT}),
            ("an ID", {self.id} if not re.fullmatch("[0-9a-f]{12}", self.id) else set()),
            ("a stage", {self.stage} - {"bare", "installed"}),
            ("a chapter", {self.chapter} if self.chapter and not _NODE.fullmatch(self.chapter) else set()),
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
            raise InputError(
                f"golden set {self.name} has a manifest that labctl cannot have written", details="\n".join(wrong)
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
