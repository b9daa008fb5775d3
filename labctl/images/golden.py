"""The golden sets in a host's storage pool: the disks of a whole lab at a stage, for labs to stand on.

A set is a volume per node, `golden-NAME-ID-NODE.qcow2`, an overlay on a base image, and a manifest,
`golden-NAME-ID.json`, which is uploaded last. No manifest, no set: what an interrupted run leaves behind is never used,
and the next one of that name clears it away.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from labctl.errors import InputError, RefusedError
from labctl.hypervisor import Hypervisor, VolumeFacts
from labctl.images.store import check_name
from labctl.render import xml

_MANIFEST = re.compile(r"golden-(?P<name>.+)-(?P<id>[0-9a-f]{12})\.json")
_MANIFEST_LIMIT = 4 * 1024**2


@dataclass(frozen=True, kw_only=True)
class GoldenDisk:
    """A node's disk in a set; sizes in bytes."""

    volume: str
    size: int
    virtual_size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class GoldenManifest:
    """What is known about a set.

    Attributes:
        id: tells it from earlier ones of its name, 12 hexadecimal digits.
        topology, digest: name and hash of the topology that it is a lab of.
        stage: bare or installed.
        image: volume of the base image under its disks.
        os_info: libosinfo's ID of the nodes' system.
        created: when, RFC 3339 in UTC.
        disks: by node.
        secrets: the cloud's passwords and keys, which are on the disks too.
        done: what the installer need not do again (see `lab.installer.Journal`).
    """

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

    @property
    def stem(self) -> str:
        """How the names of its volumes begin."""
        return f"golden-{self.name}-{self.id}"

    @property
    def size(self) -> int:
        """Bytes that its disks take."""
        return sum(disk.size for disk in self.disks.values())

    @classmethod
    def from_json(cls, document: str) -> Self:
        """Read a manifest; ValueError, KeyError or TypeError when it is not one."""
        values = json.loads(document)
        disks = {node: GoldenDisk(**disk) for node, disk in values.pop("disks").items()}
        return cls(**(values | {"disks": disks, "done": tuple(values["done"])}))


class GoldenStore:
    """The golden sets in one pool of a host."""

    def __init__(self, hypervisor: Hypervisor, pool: str) -> None:
        self._hypervisor = hypervisor
        self._pool = pool

    def every(self, volumes: Mapping[str, VolumeFacts] | None = None) -> list[GoldenManifest]:
        """Return all whole sets, the oldest first.

        Args:
            volumes: the pool's volumes, where the caller has listed them already.
        """
        known = self._hypervisor.volumes(self._pool) if volumes is None else volumes
        found = []
        for name, volume in known.items():
            if not _MANIFEST.fullmatch(name) or volume.capacity > _MANIFEST_LIMIT:
                continue
            try:
                document = self._hypervisor.download(self._pool, name, volume.capacity)
                manifest = GoldenManifest.from_json(document.decode())
            except (ValueError, TypeError, KeyError):  # cut off while it was uploaded
                continue
            if all(disk.volume in known for disk in manifest.disks.values()):
                found.append(manifest)
        return sorted(found, key=lambda manifest: manifest.created)

    def newest(self, name: str) -> GoldenManifest:
        """Return the newest set of a name.

        Raises:
            InputError: there is none.
        """
        found = [manifest for manifest in self.every() if manifest.name == name]
        if not found:
            raise InputError(f"there is no golden set {name}", remedy="labctl golden list shows those there are.")
        return found[-1]

    def publish(self, manifest: GoldenManifest, disks: Mapping[str, Path]) -> None:
        """Upload the disks, then the manifest; older sets of the name that nothing uses are removed.

        Args:
            disks: the files by node.
        """
        check_name(manifest.name)
        for node, disk in manifest.disks.items():
            file = disks[node]
            self._hypervisor.create_volume(self._pool, xml.volume_xml(disk.volume, "raw", file.stat().st_size))
            with file.open("rb") as content:
                self._hypervisor.upload(self._pool, disk.volume, content, file.stat().st_size)
        document = json.dumps(asdict(manifest)).encode()
        self._hypervisor.create_volume(self._pool, xml.volume_xml(f"{manifest.stem}.json", "raw", len(document)))
        self._hypervisor.upload(self._pool, f"{manifest.stem}.json", io.BytesIO(document), len(document))
        self._clear(manifest.name, keep=manifest.stem)

    def remove(self, name: str, *, in_use: Iterable[str] = ()) -> None:
        """Remove every set of that name.

        Args:
            in_use: IDs of sets that labs on record stand on.

        Raises:
            InputError: there is no such set.
            RefusedError: labs stand on it.
        """
        self.newest(name)
        volumes = self._hypervisor.volumes(self._pool)
        for manifest in self.every(volumes):
            if manifest.name != name:
                continue
            users = self._users(manifest.stem, volumes) or (["a lab on record"] if manifest.id in in_use else [])
            if users:
                raise RefusedError(
                    f"golden set {name} is in use",
                    details="Disks that stand on it: " + ", ".join(users),
                    remedy="Destroy the labs that use it first.",
                )
        self._clear(name, keep=None)

    def _clear(self, name: str, *, keep: str | None) -> None:
        """Delete sets of a name and what interrupted runs left of them, but for those that overlays stand on."""
        volumes = self._hypervisor.volumes(self._pool)
        ours = re.compile(rf"(golden-{re.escape(name)}-[0-9a-f]{{12}})(\.json|-.*\.qcow2)")
        stems = {found[1] for volume in volumes if (found := ours.fullmatch(volume))} - {keep}
        for stem in stems:
            if not self._users(stem, volumes):
                self._hypervisor.remove_volume(self._pool, f"{stem}.json")
                for volume in volumes:
                    if volume.startswith(f"{stem}-"):
                        self._hypervisor.remove_volume(self._pool, volume)

    @staticmethod
    def _users(stem: str, volumes: Mapping[str, VolumeFacts]) -> list[str]:
        paths = {volume.path for name, volume in volumes.items() if name.startswith(f"{stem}-")}
        return sorted(volume.name for volume in volumes.values() if volume.backing in paths)
