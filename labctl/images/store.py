"""The base images in a host's storage pool.

An image is two volumes: the disk, `image-NAME-HASH.qcow2`, and its manifest, `image-NAME-HASH.json`, which is
uploaded last. No manifest, no image: what an interrupted build or import leaves behind is never used, and the next
one clears it away.
"""

from __future__ import annotations

import datetime
import io
import json
import re
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from labctl.errors import AlreadyExistsError, InputError, LabctlError, RefusedError
from labctl.hypervisor import Hypervisor, VolumeFacts
from labctl.render import xml
from labctl.spec.values import IMAGE_NAME, image_name
from labctl.state import parsed

LARGEST = 1024**4
"""Bytes of the largest disk that a guest may see: 1 TiB; a cloud image has 2 to 30 GiB."""

CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")
"""How manifests tell when: RFC 3339 in UTC, so that texts are in the order of the moments."""

_MANIFEST = re.compile(r"image-(?P<name>.+)-(?P<hash>[0-9a-f]{12})\.json")
_MANIFEST_LIMIT = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is known about an image.

    Attributes:
        sha256: of the disk as it lies in the pool.
        size: of the qcow2 file, bytes.
        virtual_size: of the disk a guest sees, bytes; an overlay is at least as large.
        os_info: libosinfo's ID of the system, empty when unknown.
        created: when, RFC 3339 in UTC.
        source: recipe, file or URL it came from.
        extras: the layers that were added to its recipe.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    name: str
    sha256: str
    size: int
    virtual_size: int
    os_info: str
    created: str
    source: str
    extras: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """How the names of its volumes begin."""
        return f"image-{self.name}-{self.sha256[:12]}"

    def document(self) -> dict[str, Any]:
        """Return it as plain data; what has no extras reads as before there were any."""
        return {name: value for name, value in asdict(self).items() if name != "extras" or value}

    @classmethod
    def from_json(cls, document: str) -> Self:
        """Read a manifest, which may come from anywhere; ValueError when it is not one."""
        made = parsed(document, cls)
        wrong = {
            "name": not IMAGE_NAME.fullmatch(made.name),
            "sha256": not re.fullmatch("[0-9a-f]{64}", made.sha256),
            "size": made.size < 0,
            "virtual_size": not 0 < made.virtual_size <= LARGEST,
            "created": not CREATED.fullmatch(made.created),
        }
        if any(wrong.values()):
            raise ValueError("no image has such a " + ", ".join(name for name, is_wrong in wrong.items() if is_wrong))
        return made


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that can be used: its manifest and the volume that overlays stand on."""

    manifest: Manifest
    volume: str
    path: str


def now() -> str:
    """Return the time as manifests tell it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def check_name(name: str) -> None:
    """Refuse what is no image name with InputError."""
    try:
        image_name(name)
    except ValueError as exc:
        raise InputError(str(exc)) from exc


class ImageStore:
    """The images in one pool of a host."""

    def __init__(self, hypervisor: Hypervisor, pool: str) -> None:
        self._hypervisor = hypervisor
        self._pool = pool

    def images(self, volumes: Mapping[str, VolumeFacts] | None = None) -> dict[str, Image]:
        """Return the newest image of each name.

        Args:
            volumes: the pool's volumes, where the caller has listed them already.
        """
        return {image.manifest.name: image for image in self.every(volumes)}

    def every(self, volumes: Mapping[str, VolumeFacts] | None = None) -> list[Image]:
        """Return all images, older ones of a name too, the oldest first; see `images`."""
        found = self._all(self._hypervisor.volumes(self._pool) if volumes is None else volumes)
        return sorted(found, key=lambda image: image.manifest.created)

    def publish(self, disk: Path, manifest: Manifest, *, in_use: Container[str] = (), replaces: bool = True) -> Image:
        """Upload a finished disk as an image; the newest of a name is the one that new labs stand on.

        Args:
            in_use: volumes that labs on record stand on, whether or not their overlays exist just now.
            replaces: whether older ones of the name, which nothing uses, are removed.

        Raises:
            RefusedError: another installation on this host removed it meanwhile.
        """
        check_name(manifest.name)
        stem = manifest.stem
        self._hypervisor.remove_volume(self._pool, f"{stem}.json")
        volumes = self._hypervisor.volumes(self._pool)
        existing = volumes.get(f"{stem}.qcow2")
        if existing is None or not self._users(existing, volumes):
            self._hypervisor.remove_volume(self._pool, f"{stem}.qcow2")
            self._upload(f"{stem}.qcow2", disk)
        document = json.dumps(manifest.document(), indent=2).encode()
        self._hypervisor.create_volume(self._pool, xml.volume_xml(f"{stem}.json", "raw", len(document)))
        self._hypervisor.upload(self._pool, f"{stem}.json", io.BytesIO(document), len(document))
        every = self.every()
        older = {image.volume for image in every if image.manifest.created <= manifest.created}
        whole = {image.volume for image in every}
        self._clear(manifest.name, keep=(whole - older if replaces else whole) | {f"{stem}.qcow2"}, in_use=in_use)
        for image in every:
            if image.volume == f"{stem}.qcow2":
                return image
        raise RefusedError(
            f"image {manifest.name} disappeared while it was published",
            details="Another labctl on this host published an image of the same name, or removed it.",
            remedy="Run the command again when the other one has ended.",
        )

    def remove(self, name: str, *, in_use: Container[str] = ()) -> None:
        """Remove every image of that name, and what interrupted runs left of it.

        Args:
            in_use: volumes that labs on record stand on, whether or not their overlays exist just now.

        Raises:
            InputError: there is no such image.
            RefusedError: overlays stand on it.
        """
        volumes = self._hypervisor.volumes(self._pool)
        images = [image for image in self.every(volumes) if image.manifest.name == name]
        if not images and not self._disks(name, volumes):
            raise InputError(f"there is no image {name}", remedy="labctl image list lists them.")
        for image in images:
            users = self._users(volumes[image.volume], volumes)
            if image.volume in in_use:
                users = users or ["a lab on record"]
            if users:
                raise RefusedError(
                    f"image {name} is in use",
                    details="Disks that use it: " + ", ".join(users),
                    remedy="Destroy the labs that use it first.",
                )
        self._clear(name, keep=(), in_use=in_use)

    def _all(self, volumes: Mapping[str, VolumeFacts]) -> list[Image]:
        found = []
        for name in filter(_MANIFEST.fullmatch, volumes):
            volume, disk = volumes.get(name), volumes.get(name.removesuffix(".json") + ".qcow2")
            if volume is None or disk is None or volume.capacity > _MANIFEST_LIMIT:
                continue
            document = self._hypervisor.download(self._pool, name, volume.capacity)
            try:
                manifest = Manifest.from_json(document.decode())
            except ValueError:  # cut off while it was uploaded, or not ours
                continue
            if f"{manifest.stem}.json" == name:
                found.append(Image(manifest=manifest, volume=disk.name, path=disk.path))
        return found

    def _clear(self, name: str, *, keep: Container[str], in_use: Container[str]) -> None:
        """Delete disks and manifests of a name, whole or half-made, but for those that overlays stand on."""
        volumes = self._hypervisor.volumes(self._pool)
        for volume in self._disks(name, volumes):
            if volume.name not in keep and volume.name not in in_use and not self._users(volume, volumes):
                self._hypervisor.remove_volume(self._pool, Path(volume.name).with_suffix(".json").name)
                self._hypervisor.remove_volume(self._pool, volume.name)

    @staticmethod
    def _disks(name: str, volumes: Mapping[str, VolumeFacts]) -> list[VolumeFacts]:
        """Return the disks of a name's images, whole or not."""
        ours = re.compile(rf"image-{re.escape(name)}-[0-9a-f]{{12}}\.qcow2")
        return [volumes[name] for name in filter(ours.fullmatch, volumes) if name in volumes]

    def _upload(self, volume: str, disk: Path) -> None:
        try:
            self._hypervisor.create_volume(self._pool, xml.volume_xml(volume, "raw", disk.stat().st_size))
            with disk.open("rb") as content:
                self._hypervisor.upload(self._pool, volume, content, disk.stat().st_size)
        except AlreadyExistsError:
            raise
        except (LabctlError, OSError):
            self._hypervisor.remove_volume(self._pool, volume)
            raise

    @staticmethod
    def _users(base: VolumeFacts, volumes: Mapping[str, VolumeFacts]) -> list[str]:
        return sorted(volume.name for volume in volumes.values() if volume.backing == base.path)
