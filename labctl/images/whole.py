"""Proves that a disk image is whole: that no byte is missing which its own tables speak of.

QEMU reads zeros beyond the end of a file. An image that was cut short by a download or a full disk converts without a
word, boots, and loses files. qemu-img's own check looks at whole clusters only, and not at what lies on the disk.
Sources: QEMU's docs/interop/qcow2.txt; UEFI's specification, chapter 5 (GPT).
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from labctl.errors import InputError
from labctl.images.store import LARGEST
from labctl.process import execute

LIMITS = ["prlimit", "--as=4294967296", "--cpu=1800", "--"]
"""What qemu-img gets of this machine when it looks at an image that nobody trusts."""

SECTOR = 512
_OFFSET = 0x00FFFFFFFFFFFE00
_COMPRESSED, _ZERO = 1 << 62, 1
_EXTENDED = 1 << 4  # incompatible feature: entries of 16 bytes, with a bitmap of subclusters
_SUBCLUSTERS = 32
_KNOWN = 0b11111  # incompatible features: dirty, corrupt, data file, compression, extended entries
_PROTECTIVE = 0xEE  # the type of the one partition that an MBR has beside a GPT
_REMEDY = "Download the image from its publisher again; --sha256 compares it with the publisher's hash."


def check_qcow2(file: Path) -> None:
    """Refuse a qcow2 file that is cut off, or whose tables contradict each other.

    Raises:
        InputError: it is not whole.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        needed = max(_Tables.read(stream, file).ends())
    if needed > size:
        raise InputError(
            f"{file} is cut off", details=f"It has {size} bytes, its tables name {needed}.", remedy=_REMEDY
        )
    argv = [*LIMITS, "qemu-img", "check", "--output=json", "-f", "qcow2", str(file.absolute())]
    code, said, complaints = execute(argv, timeout=3600)
    if code not in (0, 3):  # 3: clusters that nothing uses, which do no harm
        raise InputError(f"{file} is damaged", details=_told(said) or complaints.decode(errors="replace").strip())


def check_partitions(read: Callable[[int], bytes], size: int) -> bool:
    """Refuse a disk whose partitions end behind it.

    Args:
        read: returns a sector of the disk.
        size: bytes of the disk that there are.

    Returns:
        Whether it has partitions.

    Raises:
        InputError: it is cut off.
    """
    table = read(0)[446:510]
    entries = [struct.unpack_from("<B3xB3xII", table, place) for place in range(0, 64, 16)]
    if any(status not in (0, 0x80) for status, _, _, _ in entries):  # code of a boot sector, not a table
        return False
    used = [(kind, start, count) for _, kind, start, count in entries if kind and count]
    if any(kind == _PROTECTIVE for kind, _, _ in used):
        _check_gpt(read, size)
    elif (end := max((start + count for _, start, count in used), default=0) * SECTOR) > size:
        raise _cut(size, end)
    return bool(used)


def _check_gpt(read: Callable[[int], bytes], size: int) -> None:
    """Refuse a disk without the second copy of its partition table, which is its last sector."""
    head = read(1)
    if head[:8] != b"EFI PART":
        raise InputError("the image's partition table is damaged", details="It has no header.", remedy=_REMEDY)
    (other,) = struct.unpack_from("<Q", head, 32)
    if (other + 1) * SECTOR > size:
        raise _cut(size, (other + 1) * SECTOR)
    if read(other)[:8] != b"EFI PART":
        raise InputError(
            "the image's partition table is damaged", details="Its second copy is missing.", remedy=_REMEDY
        )


@dataclass(frozen=True, kw_only=True)
class _Tables:
    """Where a qcow2 file keeps what."""

    stream: BinaryIO
    file: Path
    cluster_bits: int
    size: int
    entries: int
    table: int
    refcounts: int
    refcount_clusters: int
    extended: bool

    @classmethod
    def read(cls, stream: BinaryIO, file: Path) -> _Tables:
        """Read the header, which may say anything.

        Raises:
            InputError: its numbers are none of a disk that can be imported.
        """
        head = stream.read(104).ljust(104, b"\0")
        version, cluster_bits, size = (*struct.unpack_from(">I", head, 4), *struct.unpack_from(">IQ", head, 20))
        entries, table, refcounts, clusters = struct.unpack_from(">IQQI", head, 36)
        (features,) = struct.unpack_from(">Q", head, 72) if version >= 3 else (0,)
        made = cls(
            stream=stream,
            file=file,
            cluster_bits=cluster_bits,
            size=size,
            entries=entries,
            table=table,
            refcounts=refcounts,
            refcount_clusters=clusters,
            extended=bool(features & _EXTENDED),
        )
        wrong = {
            f"clusters of 2^{cluster_bits} bytes": not 9 <= cluster_bits <= 21,
            f"a disk of {size} bytes": size > LARGEST,
            f"features {features:#x}": bool(features & ~_KNOWN),
        }
        if not any(wrong.values()) and entries * made.span < size:
            wrong = {f"a table of {entries} entries for {size} bytes": True}
        if any(wrong.values()):
            named = ", ".join(what for what, is_wrong in wrong.items() if is_wrong)
            raise InputError(f"{file} cannot be read", details=f"Its header claims {named}.", remedy=_REMEDY)
        return made

    @property
    def cluster(self) -> int:
        """Bytes of a cluster."""
        return 1 << self.cluster_bits

    @property
    def span(self) -> int:
        """Bytes of the disk that one second table covers."""
        return self.cluster // (16 if self.extended else 8) * self.cluster

    def ends(self) -> Iterator[int]:
        """Return where each part of the file ends that is needed."""
        yield self.refcounts + self.refcount_clusters * self.cluster
        used = -(-self.size // self.span)
        yield self.table + used * 8
        for block in self._numbers(self.refcounts, self.refcount_clusters * self.cluster // 8):
            yield block + self.cluster if block else 0
        seen: set[int] = set()
        for place, entry in enumerate(self._numbers(self.table, used)):
            second = entry & _OFFSET
            if not second or second in seen:
                continue
            seen.add(second)
            yield second + self.cluster
            yield from self._clusters(second, place * self.span)

    def _clusters(self, second: int, start: int) -> Iterator[int]:
        """Return where each cluster ends that a second table names; the disk's last one may end with the disk."""
        numbers = self._numbers(second, self.cluster // 8)
        step = 2 if self.extended else 1
        for place, entry in enumerate(numbers[::step]):
            here = min(self.cluster, self.size - start - place * self.cluster)
            if entry & _COMPRESSED:
                bits = 62 - (self.cluster_bits - 8)
                offset, sectors = entry & ((1 << bits) - 1), (entry >> bits & ((1 << (62 - bits)) - 1)) + 1
                # The last sector may be short; whether it is, unpacking tells.
                yield (offset // SECTOR + sectors - 1) * SECTOR + 1
            elif self.extended and (allocated := numbers[place * 2 + 1] & 0xFFFFFFFF):
                yield (entry & _OFFSET) + min(here, allocated.bit_length() * self.cluster // _SUBCLUSTERS)
            elif not self.extended and entry & _OFFSET and not entry & _ZERO and here > 0:
                yield (entry & _OFFSET) + here

    def _numbers(self, offset: int, count: int) -> tuple[int, ...]:
        """Read 64-bit numbers; those beyond the end of the file are not there."""
        self.stream.seek(min(offset, os.fstat(self.stream.fileno()).st_size))
        content = self.stream.read(min(count * 8, os.fstat(self.stream.fileno()).st_size))
        return struct.unpack(f">{len(content) // 8}Q", content[: len(content) // 8 * 8])


def _cut(size: int, needed: int) -> InputError:
    return InputError(
        "the image is cut off", details=f"Its disk has {size} bytes, its partitions {needed}.", remedy=_REMEDY
    )


def _told(said: bytes) -> str:
    """Return what is wrong by qemu-img's own report; empty where there is none."""
    try:
        report = json.loads(said)
    except ValueError:
        return ""
    counts = {key: report.get(key) for key in ("corruptions", "check-errors") if isinstance(report, dict)}
    return ", ".join(f"{count} {key}" for key, count in counts.items() if count)
