"""Foreign images are looked at before QEMU is: what would lead it elsewhere is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from labctl.errors import InputError
from labctl.images import importing

GIB = 1024**3


def qcow2(*, version: int = 3, backing: int = 0, size: int = GIB, crypt: int = 0, features: int = 0) -> bytes:
    """Return a qcow2 header."""
    head = b"QFI\xfb" + struct.pack(">IQIIQI", version, backing, 0, 16, size, crypt)
    return (head.ljust(72, b"\0") + struct.pack(">Q", features)).ljust(512, b"\0")


def examined(tmp_path: Path, content: bytes) -> str:
    file = tmp_path / "image"
    file.write_bytes(content)
    return importing.examine(file)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (qcow2(backing=512), "has a backing file"),
        (qcow2(features=0b100), "has an external data file"),
        (qcow2(crypt=2), "is encrypted"),
        (qcow2(features=0b10), "is marked corrupt"),
        (qcow2(size=2**60), "claims a size"),
        (qcow2(size=0), "claims a size"),
        (qcow2(version=9), "qcow2 version"),
        (qcow2()[:60], "is cut off"),
        (b"KDMV".ljust(512, b"\0"), "is a vmdk image"),
        (b"\xfd7zXZ\0".ljust(512, b"\0"), "is compressed"),
        (bytes(512), "no disk image that can boot"),
        (b"", "no disk image that can boot"),
    ],
)
def test_hostile_and_useless_images_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        examined(tmp_path, content)


def test_a_whole_qcow2_is_accepted(tmp_path: Path) -> None:
    assert examined(tmp_path, qcow2()) == "qcow2"


def test_a_disk_with_a_boot_sector_is_raw(tmp_path: Path) -> None:
    assert examined(tmp_path, bytes(510) + b"\x55\xaa") == "raw"


def test_an_image_with_another_hash_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "image"
    file.write_bytes(bytes(510) + b"\x55\xaa")
    with pytest.raises(InputError, match="not the one"):
        importing.import_(str(file), sha256="0" * 64, scratch=tmp_path, progress=lambda _: None)


def test_a_url_needs_a_hash(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs --sha256"):
        importing.import_("https://images.example.org/x.qcow2", sha256=None, scratch=tmp_path, progress=lambda _: None)


def test_a_raw_disk_becomes_a_clean_qcow2(tmp_path: Path) -> None:
    file = tmp_path / "disk"
    file.write_bytes((bytes(510) + b"\x55\xaa").ljust(4 * 1024**2, b"\0"))
    disk = importing.import_(str(file), sha256=importing.digest(file), scratch=tmp_path, progress=lambda _: None)
    assert disk.path.read_bytes()[:4] == b"QFI\xfb"
    assert disk.virtual_size == 4 * 1024**2
