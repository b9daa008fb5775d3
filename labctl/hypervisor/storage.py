"""The calls to libvirt about storage pools and volumes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import BinaryIO
from uuid import UUID

import libvirt

from labctl import waiting
from labctl.errors import NotFoundError
from labctl.hypervisor.facts import PoolFacts, VolumeFacts
from labctl.hypervisor.link import Link
from labctl.hypervisor.listing import Listing
from labctl.hypervisor.translate import translated

_CHUNK = 256 * 1024  # a libvirt stream packet holds at most 256 KiB of payload (VIR_NET_MESSAGE_PAYLOAD)
_BUSY = 30.0  # seconds that a pool may be busy with volumes that are made


class Storage(Link):
    """The storage pools of a host and their volumes."""

    def pools(self) -> dict[str, PoolFacts]:
        """Return every storage pool by name."""
        with translated("list the storage pools"):
            every = self._connection.listAllStoragePools()
            running = self._connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
            active = {pool.UUID() for pool in running}
            facts = [PoolFacts.from_xml(pool.XMLDesc(), active=pool.UUID() in active) for pool in every]
            return {pool.name: pool for pool in facts}

    def create_pool(self, document: str) -> None:
        """Define a directory pool, make its directory, start it, and let it start with the host."""
        with translated("define a storage pool"):
            pool = self._connection.storagePoolDefineXML(document)
        name = pool.name()
        with translated(f"build storage pool {name}"):
            if not pool.isActive():
                pool.build()
        self._start(pool, f"start storage pool {name}")
        with translated(f"let storage pool {name} start with the host"):
            pool.setAutostart(True)

    def start_pool(self, name: str) -> None:
        """Start a pool; nothing happens when it runs."""
        with translated(f"find storage pool {name}"):
            pool = self._pool(name)
        self._start(pool, f"start storage pool {name}")

    def refresh_pool(self, name: str) -> None:
        """Let libvirt read the pool's directory and its free space again.

        libvirt refuses while a volume is being made in the pool. Then it is asked again for some seconds.
        """
        with translated(f"refresh storage pool {name}"):
            pool = self._pool(name)

            def refreshed() -> bool:
                try:
                    pool.refresh()
                except libvirt.libvirtError as exc:
                    if "asynchronous jobs" in str(exc):
                        return False
                    raise
                return True

            if not waiting.until(refreshed, seconds=_BUSY, pause=0.05):
                pool.refresh()

    def remove_pool(self, uuid: UUID) -> None:
        """Stop and undefine a pool, and delete its directory; nothing happens when it is gone."""
        with contextlib.suppress(NotFoundError), translated(f"remove storage pool {uuid}"):
            pool = self._connection.storagePoolLookupByUUIDString(str(uuid))
            self._known.pop(pool.name(), None)
            if pool.isActive():
                pool.destroy()
            pool.delete()
            pool.undefine()

    def volumes(self, pool: str) -> Listing[VolumeFacts]:
        """Return every volume of a pool by name."""
        with translated(f"list the volumes of {pool}"):
            listed = self._pool(pool).listAllVolumes()
        every = {volume.name(): volume for volume in listed}

        def read(name: str) -> VolumeFacts | None:
            with contextlib.suppress(NotFoundError), translated("read a volume"):
                return VolumeFacts.from_xml(every[name].XMLDesc())
            return None

        return Listing(every, read)

    def create_volume(self, pool: str, document: str) -> VolumeFacts:
        """Make the volume of an XML document.

        Raises:
            AlreadyExistsError: the pool has a volume of that name.
        """
        with translated(f"create volume {_name(document)} in {pool}"):
            return VolumeFacts.from_xml(self._pool(pool).createXML(document).XMLDesc())

    def make_volume(self, pool: str, document: str, content: bytes = b"") -> None:
        """Make the volume of an XML document and write its content; ask libvirt for nothing else.

        Raises:
            AlreadyExistsError: the pool has a volume of that name.
        """
        with translated(f"create volume {_name(document)} in {pool}"):
            volume = self._pool(pool).createXML(document)
        if content:
            self._upload(volume, _name(document), io.BytesIO(content), len(content))

    def upload(self, pool: str, name: str, content: BinaryIO, length: int) -> None:
        """Write `length` bytes from `content` into a volume, from its start."""
        with translated(f"find volume {name}"):
            volume = self._pool(pool).storageVolLookupByName(name)
        self._upload(volume, name, content, length)

    def _upload(self, volume: libvirt.virStorageVol, name: str, content: BinaryIO, length: int) -> None:
        with translated(f"upload into volume {name}"), self._stream() as stream:
            volume.upload(stream, 0, length)
            while chunk := content.read(_CHUNK):
                stream.send(chunk)

    def download(self, pool: str, name: str, length: int) -> bytes:
        """Return the first `length` bytes of a volume."""
        with translated(f"download volume {name}"), self._stream() as stream:
            volume = self._pool(pool).storageVolLookupByName(name)
            volume.download(stream, 0, length)
            parts = []
            while chunk := stream.recv(_CHUNK):
                parts.append(chunk)
            return b"".join(parts)

    def fetch(self, pool: str, name: str, target: Callable[[bytes], object], *, offset: int = 0) -> None:
        """Give a whole volume, as it lies in the pool, to `target`, part by part.

        Args:
            offset: bytes to leave out at the beginning.
        """
        with translated(f"download volume {name}"), self._stream() as stream:
            volume = self._pool(pool).storageVolLookupByName(name)
            volume.download(stream, offset, 0)
            while chunk := stream.recv(_CHUNK):
                target(chunk)

    def copy_volume(self, pool: str, source: str, document: str) -> str:
        """Make the volume of an XML document with the bytes of another one, as they lie in the pool.

        libvirt's own copy (virStorageVolCreateXMLFrom) would also write the data of an overlay's backing volume.

        Returns:
            The SHA-256 of the bytes, hexadecimal.

        Raises:
            AlreadyExistsError: the pool has a volume of that name.
        """
        name, hashed = _name(document), hashlib.sha256()
        with translated(f"create volume {name} in {pool}"):
            volume = self._pool(pool).createXML(document)
        with translated(f"copy volume {source} to {name}"), self._stream() as stream:
            volume.upload(stream, 0, 0)

            def take(chunk: bytes) -> None:
                hashed.update(chunk)
                stream.send(chunk)

            self.fetch(pool, source, take)
        return hashed.hexdigest()

    def remove_volume(self, pool: str, name: str) -> None:
        """Delete a volume; nothing happens when it is gone."""
        with contextlib.suppress(NotFoundError), translated(f"delete volume {name}"):
            self._pool(pool).storageVolLookupByName(name).delete()

    def _pool(self, name: str) -> libvirt.virStoragePool:
        """Return a pool, which is asked for once: libvirt finds it by its UUID from then on."""
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._connection.storagePoolLookupByName(name)
        return found

    @contextlib.contextmanager
    def _stream(self) -> Iterator[libvirt.virStream]:
        stream = self._connection.newStream()
        try:
            yield stream
        except BaseException:
            with contextlib.suppress(libvirt.libvirtError):
                stream.abort()
            raise
        stream.finish()


def _name(document: str) -> str:
    """Return the name in an object's XML document."""
    return ET.fromstring(document).findtext("name") or "without a name"  # noqa: S314 - our own words
