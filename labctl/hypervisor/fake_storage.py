"""The fake of `storage`."""

from __future__ import annotations

import contextlib
import hashlib
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import BinaryIO
from uuid import UUID

import libvirt

from labctl.errors import NotFoundError
from labctl.hypervisor import fake_xml
from labctl.hypervisor.facts import PoolFacts, VolumeFacts
from labctl.hypervisor.fake_disk import File, qcow2
from labctl.hypervisor.fake_link import FakeLink
from labctl.hypervisor.fake_objects import FakePool, Refusal
from labctl.hypervisor.listing import Listing

_CHUNK = 256 * 1024


class FakeStorage(FakeLink):
    """The storage pools of a fake host and their volumes; see `Storage`."""

    def pools(self) -> dict[str, PoolFacts]:
        """Return every storage pool by name."""
        with self._does("list the storage pools"):
            return {
                pool.name: PoolFacts(
                    name=pool.name,
                    uuid=pool.uuid,
                    active=pool.active,
                    path=pool.path,
                    capacity=pool.capacity,
                    available=pool.available,
                )
                for pool in self._host.pools.values()
            }

    def create_pool(self, document: str) -> None:
        """Define a directory pool, make its directory, start it, and let it start with the host."""
        host = self._host
        with self._does("define a storage pool"):
            root = fake_xml.parsed(document, "pool")
            fake_xml.identified(root)
            if root.get("type") != "dir":
                message = f"internal error: missing backend for pool type {root.get('type')}"
                raise Refusal(libvirt.VIR_ERR_INTERNAL_ERROR, message)
            facts = PoolFacts.from_xml(fake_xml.text(root), active=False)
            fake_xml.check_clash("pool", facts.name, facts.uuid, {pool.name: pool.uuid for pool in host.pools.values()})
            pool = host.pools.setdefault(facts.name, FakePool(facts.name, facts.uuid, facts.path))
        with self._does(f"build storage pool {pool.name}"):
            host.folders.add(pool.path)
        self._start_pool(pool)
        with self._does(f"let storage pool {pool.name} start with the host"):
            pool.autostart = True

    def start_pool(self, name: str) -> None:
        """Start a pool."""
        with self._does(f"find storage pool {name}"):
            pool = self._host.pool(name)
        self._start_pool(pool)

    def _start_pool(self, pool: FakePool) -> None:
        with self._does(f"start storage pool {pool.name}"):
            if not pool.active:
                self._host.refresh(pool)
                pool.active = True

    def refresh_pool(self, name: str) -> None:
        """Let libvirt read the pool's directory again."""
        with self._does(f"refresh storage pool {name}"):
            self._host.refresh(self._host.pool(name, active=True))

    def remove_pool(self, uuid: UUID) -> None:
        """Stop and undefine a pool, and delete its directory."""
        host = self._host
        with contextlib.suppress(NotFoundError):
            with self._does(f"remove storage pool {uuid}"):
                found = [pool for pool in host.pools.values() if pool.uuid == uuid]
                if not found:
                    message = f"Storage pool not found: no storage pool with matching uuid '{uuid}'"
                    raise Refusal(libvirt.VIR_ERR_NO_STORAGE_POOL, message)
                found[0].active = False
            with self._does(f"remove storage pool {uuid}"):
                if any(path.startswith(f"{found[0].path}/") for path in host.files):
                    message = f"failed to remove pool '{found[0].path}': Directory not empty"
                    raise Refusal(libvirt.VIR_ERR_SYSTEM_ERROR, message)
                host.folders.discard(found[0].path)
            with self._does(f"remove storage pool {uuid}"):
                del host.pools[found[0].name]

    def volumes(self, pool: str) -> Listing[VolumeFacts]:
        """Return every volume of a pool by name."""
        with self._does(f"list the volumes of {pool}"):
            storage = self._host.pool(pool, active=True)

            def read(name: str) -> VolumeFacts | None:
                with contextlib.suppress(Refusal):
                    return self._host.volume_facts(*self._host.volume(storage, name))
                return None

            return Listing(dict.fromkeys(storage.listed), read)

    def create_volume(self, pool: str, document: str) -> VolumeFacts:
        """Make the volume of an XML document."""
        name = ET.fromstring(document).findtext("name") or "without a name"  # noqa: S314 - written by tests
        with self._does(f"create volume {name} in {pool}"):
            fake_xml.parsed(document, "volume")
            storage = self._host.pool(pool, active=True)
            wanted = VolumeFacts.from_xml(document)
            path = f"{storage.path}/{name}"
            if name in storage.listed:
                message = f"storage volume name '{name}' already in use."
                raise Refusal(libvirt.VIR_ERR_STORAGE_VOL_EXIST, message)
            if path in self._host.files:
                raise Refusal(libvirt.VIR_ERR_SYSTEM_ERROR, f"cannot create path '{path}': File exists")
            if wanted.backing is not None and wanted.backing not in self._host.files:
                message = f"inaccessible backing store volume {wanted.backing}: No such file or directory"
                raise Refusal(libvirt.VIR_ERR_SYSTEM_ERROR, message)
            if wanted.format == "qcow2":
                self._host.write(path, 0, qcow2(wanted.capacity, wanted.backing))
            elif wanted.format == "raw":
                self._host.files[path] = File(size=wanted.capacity)
            else:
                message = f"XML error: unknown volume format type {wanted.format}"
                raise Refusal(libvirt.VIR_ERR_XML_ERROR, message)
            storage.listed.add(name)
            storage.available -= len(self._host.files[path].content)
            return self._host.volume_facts(path, self._host.files[path])

    def make_volume(self, pool: str, document: str, content: bytes = b"") -> None:
        """Make the volume of an XML document and write its content."""
        made = self.create_volume(pool, document)
        if content:
            self.upload(pool, made.name, io.BytesIO(content), len(content))

    def upload(self, pool: str, name: str, content: BinaryIO, length: int) -> None:
        """Write `length` bytes from `content` into a volume, from its start."""
        doing = f"upload into volume {name}"
        with self._does(doing):
            path, _ = self._host.volume(self._host.pool(pool, active=True), name)
        self._write(doing, pool, path, iter(lambda: content.read(_CHUNK), b""), most=length)

    def download(self, pool: str, name: str, length: int) -> bytes:
        """Return the first `length` bytes of a volume."""
        with self._does(f"download volume {name}"):
            _, file = self._host.volume(self._host.pool(pool, active=True), name)
            return file.read(0, length)

    def fetch(self, pool: str, name: str, target: Callable[[bytes], object], *, offset: int = 0) -> None:
        """Give a whole volume, as it lies in the pool, to `target`, part by part."""
        with self._does(f"download volume {name}"):
            _, file = self._host.volume(self._host.pool(pool, active=True), name)
            content = file.read(offset, file.size)
        for start in range(0, len(content), _CHUNK):
            target(content[start : start + _CHUNK])

    def copy_volume(self, pool: str, source: str, document: str) -> str:
        """Make the volume of an XML document with the bytes of another one; return their SHA-256."""
        made = self.create_volume(pool, document)
        parts: list[bytes] = []
        self.fetch(pool, source, parts.append)
        self._write(f"copy volume {source} to {made.name}", pool, made.path, iter(parts))
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def remove_volume(self, pool: str, name: str) -> None:
        """Delete a volume."""
        with contextlib.suppress(NotFoundError), self._does(f"delete volume {name}"):
            storage = self._host.pool(pool, active=True)
            path, file = self._host.volume(storage, name)
            del self._host.files[path]
            storage.listed.discard(name)
            storage.available += len(file.content)

    def _write(self, doing: str, pool: str, path: str, parts: Iterator[bytes], *, most: int = 0) -> None:
        """Write parts into a file, each in a call of its own; libvirt reads the pool again at the end.

        Args:
            most: how many bytes it takes; 0 takes all.
        """
        offset = 0
        for part in parts:
            half = len(part) // 2
            for piece in (part[:half], part[half:]):  # so that even a short one can be cut off
                with self._does(doing):
                    if most and offset + len(piece) > most:
                        raise Refusal(libvirt.VIR_ERR_SYSTEM_ERROR, "cannot write to stream: No space left on device")
                    self._host.write(path, offset, piece)
                    offset += len(piece)
        with self._does(doing):
            self._host.refresh(self._host.pool(pool, active=True))
