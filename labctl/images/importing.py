"""Imports foreign disk images, which are not trusted: what QEMU would follow or believe is looked at before QEMU is.

A qcow2 header may name a backing file or a data file anywhere on this machine, and QEMU would read it into the guest.
So the header is read here first (format: QEMU's docs/interop/qcow2.txt), qemu-img runs with limited memory and time,
is told the format instead of guessing it, and what is published is its copy, written afresh.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import shutil
import string
import struct
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import CapacityError, InputError, LabctlError
from labctl.images.store import LARGEST
from labctl.images.whole import LIMITS, SECTOR, check_partitions, check_qcow2
from labctl.process import run

SMALLEST = 1024**2
"""Bytes of the smallest: nothing bootable is below 1 MiB."""

_BOOT_SIGNATURE = b"\x55\xaa"
_FOREIGN = {
    b"KDMV": "vmdk",
    b"# Disk D": "vmdk",
    b"vhdxfile": "vhdx",
    b"conectix": "vpc",
    b"<<< ": "vdi",
    b"QED\0": "qed",
}
_COMPRESSED = {b"\xfd7zXZ": "xz", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd", b"PK": "zip"}


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A checked, clean qcow2 file; sizes in bytes."""

    path: Path
    sha256: str
    size: int
    virtual_size: int


def import_(source: str, *, sha256: str | None, scratch: Path, progress: Callable[[str], None]) -> Disk:
    """Fetch, check and copy a disk image.

    Args:
        source: a file, or an http(s) URL, which needs `sha256`.
        sha256: what the file must hash to, hexadecimal.
        scratch: an empty folder for the copies.

    Raises:
        InputError: no such file, another hash, another format, hostile, not whole or not bootable.
        CapacityError: the disk has no room for the copy.
    """
    if source.startswith(("http://", "https://")):
        if sha256 is None:
            raise InputError("an image from a URL needs --sha256", remedy="The publisher's page names the hash.")
        progress(f"downloading {source}")
        file = _download(source, scratch / "source")
    else:
        file = Path(source)
        if not file.is_file():
            raise InputError(f"{source} is not a file")
    if sha256 is not None:
        progress("checking the hash")
        if (found := digest(file)) != sha256.lower():
            raise InputError(
                "the image is not the one that --sha256 names", details=f"expected {sha256.lower()}\nfound    {found}"
            )
    form = examine(file)
    virtual_size = _virtual_size(file, form)
    if form == "qcow2":
        progress("checking that it is whole")
        check_qcow2(file)
    if shutil.disk_usage(scratch).free < file.stat().st_size:
        raise CapacityError(f"no room for a copy of {source} in {scratch}", remedy="Free some disk space.")
    progress("copying")
    copy = scratch / "disk.qcow2"
    run([*LIMITS, "qemu-img", "convert", "-f", form, "-O", "qcow2", file.absolute(), copy], timeout=3600)
    size = file.stat().st_size if form == "raw" else virtual_size
    _check_disk(copy, scratch, form=form, size=size, proven=sha256 is not None)
    return Disk(path=copy, sha256=digest(copy), size=copy.stat().st_size, virtual_size=virtual_size)


def examine(file: Path) -> str:
    """Return the format of a disk image, qcow2 or raw, by its content.

    Raises:
        InputError: it is neither, or its qcow2 header names other files or is encrypted.
    """
    with file.open("rb") as stream:
        head = stream.read(SECTOR)
    if head.startswith(b"QFI\xfb"):
        _examine_qcow2(head, file)
        return "qcow2"
    for magic, form in _FOREIGN.items():
        if head.startswith(magic):
            raise InputError(f"{file} is a {form} image", remedy=f"qemu-img convert -f {form} -O qcow2 {file} NEW")
    for magic, program in _COMPRESSED.items():
        if head.startswith(magic):
            raise InputError(f"{file} is compressed ({program})", remedy="Unpack it first.")
    if head[SECTOR - 2 :] != _BOOT_SIGNATURE:
        raise InputError(
            f"{file} is not a disk image that can boot",
            details="It is not qcow2, and it lacks the boot sector of a raw disk.",
        )
    return "raw"


def digest(file: Path) -> str:
    """Return a file's SHA-256, hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _examine_qcow2(head: bytes, file: Path) -> None:
    if len(head) < 104:
        raise InputError(f"{file} is cut off")
    version, backing, _, _, size, crypt = struct.unpack(">IQIIQI", head[4:36])
    features = struct.unpack(">Q", head[72:80])[0] if version >= 3 else 0
    refused = {
        "has an unknown qcow2 version": version not in (2, 3),
        "has a backing file: only whole images can be imported": backing != 0,
        "is encrypted": crypt != 0,
        "has an external data file": bool(features & 0b100),
        "is marked corrupt": bool(features & 0b10),
        f"claims a size of {size} bytes": not SMALLEST <= size <= LARGEST,
    }
    for reason, applies in refused.items():
        if applies:
            raise InputError(f"{file} {reason}", remedy="Download the image from its publisher again.")


def _virtual_size(file: Path, form: str) -> int:
    said = run([*LIMITS, "qemu-img", "info", "--output=json", "-f", form, file.absolute()], timeout=60)
    facts = json.loads(said)
    suspicious = {"backing-filename", "full-backing-filename"} & facts.keys()
    if suspicious or facts.get("encrypted"):
        raise InputError(f"{file} depends on other files or keys", details=", ".join(sorted(suspicious)))
    size = int(facts["virtual-size"])
    if not SMALLEST <= size <= LARGEST:
        raise InputError(f"{file} claims a size of {size} bytes", details=f"{SMALLEST} to {LARGEST} are sound.")
    return size


def _check_disk(disk: Path, scratch: Path, *, form: str, size: int, proven: bool) -> None:
    """Refuse a disk that cannot boot, or that is not seen to be whole.

    Args:
        form: the format that it came in. A raw file says nothing of itself, only its partitions do.
        size: bytes of the disk that there were.
        proven: whether its hash is the one that its publisher names.
    """

    def sector(number: int) -> bytes:
        target, name = scratch / "sector", str(disk.absolute()).replace(",", ",,")
        part = f"driver=raw,offset={number * SECTOR},size={SECTOR},file.driver=qcow2,file.file.filename={name}"
        run(["qemu-img", "convert", "--image-opts", part, "-O", "raw", target], timeout=60)
        return target.read_bytes()

    if sector(0)[SECTOR - 2 :] != _BOOT_SIGNATURE:
        raise InputError("the image cannot boot: its first sector has no boot signature")
    if not proven and not check_partitions(sector, size) and form == "raw":
        raise InputError(
            "it cannot be checked whether the image is complete",
            details="It is a raw disk without partitions, which does not say where it ends.",
            remedy="--sha256 HEX compares it with its publisher's hash.",
        )


def _download(url: str, target: Path) -> Path:
    try:
        # As browsers do: a blank or an umlaut is quoted, what is quoted already stays.
        quoted = urllib.parse.quote(url, safe=string.punctuation)
        with urllib.request.urlopen(quoted, timeout=60) as answer, target.open("wb") as file:  # noqa: S310 - http(s) only
            length = int(answer.headers.get("Content-Length") or 0)
            if length > shutil.disk_usage(target.parent).free:
                raise CapacityError(f"no room for {length} bytes in {target.parent}", remedy="Free some disk space.")
            shutil.copyfileobj(answer, file, 1024 * 1024)
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):  # ours, not the server's
            raise
        raise _undownloadable(url, exc) from exc
    except (http.client.HTTPException, ValueError) as exc:  # of an answer, or of a URL, that is none
        raise _undownloadable(url, exc) from exc
    if length and target.stat().st_size != length:
        raise LabctlError(
            f"the download of {url} was interrupted", details=f"{target.stat().st_size} of {length} bytes"
        )
    return target


def _undownloadable(url: str, exc: Exception) -> LabctlError:
    details = str(exc) or type(exc).__name__
    return LabctlError(f"cannot download {url}", details=details, remedy="Look at the URL, then run the command again.")
