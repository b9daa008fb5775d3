"""The head of a memory image: the one part of libvirt's save format that labctl reads and writes itself.

`virDomainSave` writes a header of 92 bytes (16 bytes magic, then 32-bit numbers: version, length of what follows, was
it running, format of QEMU's part, where the cookie begins, and fourteen that are unused), the domain's XML document, a
cookie, zeros up to the length, and then QEMU's own stream. Source: struct _virQEMUSaveHeader in libvirt's
src/qemu/qemu_saveimage.h, the same from 5.0 to 11.0. libvirt restores a domain under the name and UUID in that document
and refuses to change them; a fork has others, so its document takes the place of the one that was saved, in the same
room, and QEMU's stream is not touched.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Self

from labctl.errors import HypervisorError

MOST = 1024**2
"""Bytes within which a head must end; libvirt's are below 70 KiB."""

_HEADER = struct.Struct("<16s5I56x")
_COMPLETE, _PARTIAL = b"LibvirtQemudSave", b"LibvirtQemudPart"
_VERSION = 2
_RAW = 0  # QEMU's stream as it is; others are compressed, or laid out for parallel reading
_REMEDY = "--cold boots the nodes from the set's disks instead."


@dataclass(frozen=True, kw_only=True)
class Head:
    """The head of a complete memory image.

    Attributes:
        document: the domain's XML document, as the domain was when it was saved.
        cookie: what libvirt noted beside it, XML too; may be empty.
        room: bytes that document, cookie and padding take together.
        running: whether the domain ran when it was saved.
    """

    document: str
    cookie: str
    room: int
    running: bool

    @property
    def length(self) -> int:
        """Where QEMU's stream begins."""
        return _HEADER.size + self.room

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read the head from the beginning of an image.

        Args:
            content: its first `MOST` bytes, or all where it has fewer.

        Raises:
            HypervisorError: the image is not complete, or of a kind that this does not know.
        """
        if len(content) < _HEADER.size:
            raise _unknown("it is shorter than a header")
        magic, version, room, running, form, cookie_offset = _HEADER.unpack_from(content)
        if magic == _PARTIAL:
            raise _unknown("libvirt did not finish writing it")
        if magic != _COMPLETE:
            raise _unknown(f"it begins with {magic!r}")
        if version != _VERSION or form != _RAW:
            raise _unknown(f"version {version}, format {form}; known are version {_VERSION}, format {_RAW}")
        body = content[_HEADER.size : _HEADER.size + room]
        if len(body) != room or cookie_offset > room:
            raise _unknown("its document is cut off")
        document, _, rest = body.partition(b"\0")
        cookie = body[cookie_offset:].partition(b"\0")[0] if cookie_offset else b""
        if rest.strip(b"\0") != cookie:
            raise _unknown("it contains unknown data")
        return cls(document=document.decode(), cookie=cookie.decode(), room=room, running=bool(running))

    def encode(self) -> bytes:
        """Write the head, as long as it was.

        Raises:
            HypervisorError: the document has outgrown its room.
        """
        body = self.document.encode() + b"\0"
        cookie_offset = len(body) if self.cookie else 0
        if self.cookie:
            body += self.cookie.encode() + b"\0"
        if len(body) > self.room:
            raise _unknown(f"a document of {len(body)} bytes does not fit into {self.room}")
        header = _HEADER.pack(_COMPLETE, _VERSION, self.room, self.running, _RAW, cookie_offset)
        return header + body.ljust(self.room, b"\0")

    def of(self, document: str) -> Head:
        """Return the head with another document."""
        return replace(self, document=document)


def _unknown(why: str) -> HypervisorError:
    return HypervisorError("this memory image cannot be restored", details=why, remedy=_REMEDY)
