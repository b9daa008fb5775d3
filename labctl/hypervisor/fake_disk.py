"""Files of a fake host: sparse as on a real one, and qcow2 images that qemu-img takes for its own."""

from __future__ import annotations

import itertools
import json
import struct
from typing import Any

_MAGIC = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")  # docs/interop/qcow2.txt in QEMU's source
_BITS = 14  # clusters of 16 KiB keep an empty image small
_CLUSTER = 1 << _BITS
_REFCOUNTS, _BLOCK, _TABLE = _CLUSTER, 2 * _CLUSTER, 3 * _CLUSTER
_STATE = _TABLE + _CLUSTER // 2  # the second half of the table's cluster, which no disk of ours fills
_REACH = (_CLUSTER // 8) * _CLUSTER  # bytes of the disk that one entry of the first table covers
_BACKING_FORMAT = 0xE2792ACA
_moments = itertools.count(1)


class File:
    """A file: its bytes up to the last that was written, its size, and when it was written to (the later, the more)."""

    def __init__(self, content: bytes = b"", *, size: int = 0) -> None:
        self.content = bytearray(content)
        self.size = max(size, len(content))
        self.modified = next(_moments)

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes; beyond the end there are none, and holes are zeros."""
        length = max(0, min(length, self.size - offset))
        return bytes(self.content[offset : offset + length]).ljust(length, b"\0")

    def write(self, offset: int, content: bytes) -> None:
        """Write bytes; the file grows where it must."""
        if len(self.content) < offset:
            self.content.extend(bytes(offset - len(self.content)))
        self.content[offset : offset + len(content)] = content
        self.size = max(self.size, len(self.content))
        self.modified = next(_moments)

    @property
    def disk(self) -> tuple[int, str | None] | None:
        """Bytes that a guest sees and the path of the backing file, where this is a qcow2 image."""
        if self.content[:4] != _MAGIC or len(self.content) < _HEADER.size:
            return None
        _, _, offset, length, _, capacity, *_ = _HEADER.unpack_from(self.content)
        return capacity, bytes(self.content[offset : offset + length]).decode() if offset else None

    @property
    def state(self) -> dict[str, Any] | None:
        """What a fake guest has written to this image; None where none has."""
        content = self.read(_STATE, _CLUSTER // 2).partition(b"\0")[0]
        return dict(json.loads(content)) if self.disk and content.startswith(b"{") else None

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        content = json.dumps(state).encode()
        if len(content) > _CLUSTER // 2:
            raise ValueError("a fake guest's disk is full")
        self.write(_STATE, content.ljust(_CLUSTER // 2, b"\0"))


def qcow2(capacity: int, backing: str | None = None) -> bytes:
    """Return an empty qcow2 image, an overlay where a backing file is named.

    Args:
        capacity: bytes that a guest sees.
        backing: path of the qcow2 image under it.
    """
    entries = -(-capacity // _REACH)
    if entries * 8 > _CLUSTER // 2:
        raise ValueError("a fake disk has at most 32 GiB")
    name = (backing or "").encode()
    extensions = struct.pack(">II8s", _BACKING_FORMAT, 5, b"qcow2") if backing else b""
    extensions += bytes(8)
    offset = _HEADER.size + len(extensions) if backing else 0
    head = _HEADER.pack(
        *(_MAGIC, 3, offset, len(name), _BITS, capacity, 0, entries, _TABLE, _REFCOUNTS, 1, 0, 0, 0, 0, 0, 4, 104)
    )
    return b"".join(
        (
            (head + extensions + name).ljust(_CLUSTER, b"\0"),
            struct.pack(">Q", _BLOCK).ljust(_CLUSTER, b"\0"),
            struct.pack(">4H", 1, 1, 1, 1).ljust(_CLUSTER, b"\0"),
            bytes(_CLUSTER),
        )
    )
