"""Foreign images are looked at before QEMU is: what would lead it elsewhere is refused."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.errors import InputError, ProcessError
from labctl.images import importing
from labctl.images.store import check_name
from labctl.spec import topology

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
        (bytes(512), "not a disk image that can boot"),
        (b"", "not a disk image that can boot"),
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


MIB = 1024**2


def raw(path: Path, *, mib: int = 4, scheme: str = "mbr") -> Path:
    """Make a raw disk with one partition up to its end, or with none."""
    sectors = mib * MIB // 512
    disk = bytearray(os.urandom(mib * MIB))
    disk[:512] = bytes(510) + b"\x55\xaa"
    if scheme != "none":
        kind = 0xEE if scheme == "gpt" else 0x83
        struct.pack_into("<B3xB3xII", disk, 446, 0, kind, 1, sectors - 1)
    if scheme == "gpt":
        for own, other in ((1, sectors - 1), (sectors - 1, 1)):
            head = struct.pack("<8sIIIIQQ", b"EFI PART", 0x10000, 92, 0, 0, own, other).ljust(512, b"\0")
            disk[own * 512 : own * 512 + 512] = head
    path.write_bytes(disk)
    return path


def converted(source: Path, *options: str) -> Path:
    """Return a qcow2 file of a raw disk."""
    target = source.with_suffix(".qcow2")
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, source, target], check=True)
    return target


def shortened(file: Path, by: int) -> Path:
    """Cut bytes off a file's end."""
    os.truncate(file, file.stat().st_size - by)
    return file


def imported(file: Path, tmp_path: Path, **options: str) -> importing.Disk:
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return importing.import_(str(file), sha256=options.get("sha256"), scratch=scratch, progress=lambda _: None)


FORMATS = {
    "qcow2": (),
    "compressed": ("-c",),
    "zstd": ("-c", "-o", "compression_type=zstd"),
    "large clusters": ("-o", "cluster_size=2M"),
    "small clusters": ("-o", "cluster_size=512"),
    "subclusters": ("-o", "extended_l2=on"),
    "version 2": ("-o", "compat=0.10"),
    "preallocated": ("-o", "preallocation=metadata"),
}


@pytest.mark.parametrize("options", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("scheme", ["mbr", "gpt", "none"])
def test_a_whole_image_is_imported(tmp_path: Path, options: tuple[str, ...], scheme: str) -> None:
    source = raw(tmp_path / "disk.raw", scheme=scheme)
    disk = imported(converted(source, *options), tmp_path)
    subprocess.run(["qemu-img", "compare", "-q", source, disk.path], check=True)


@pytest.mark.parametrize("options", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("by", [600, 70_000, 3 * MIB])
def test_a_qcow2_that_was_cut_short_is_refused(tmp_path: Path, options: tuple[str, ...], by: int) -> None:
    file = converted(raw(tmp_path / "disk.raw"), *options)
    with pytest.raises((InputError, ProcessError)):
        imported(shortened(file, by), tmp_path)


def test_an_image_whose_last_cluster_ends_with_the_disk_is_whole(tmp_path: Path) -> None:
    source = raw(tmp_path / "disk.raw")
    with source.open("ab") as file:
        file.write(os.urandom(512))
    image = shortened(converted(source), 65536 - 512)
    assert imported(image, tmp_path).virtual_size == 4 * MIB + 512


@pytest.mark.parametrize("scheme", ["mbr", "gpt"])
@pytest.mark.parametrize("by", [1, 512, 3 * MIB])
def test_a_raw_disk_that_ends_before_its_partitions_is_refused(tmp_path: Path, scheme: str, by: int) -> None:
    with pytest.raises(InputError, match="cut off"):
        imported(shortened(raw(tmp_path / "disk.raw", scheme=scheme), by), tmp_path)


@pytest.mark.parametrize("scheme", ["mbr", "gpt"])
def test_a_whole_qcow2_of_a_disk_that_was_cut_short_is_refused(tmp_path: Path, scheme: str) -> None:
    cut = shortened(raw(tmp_path / "disk.raw", scheme=scheme), MIB)
    with pytest.raises(InputError, match="cut off"):
        imported(converted(cut), tmp_path)


def test_a_sparse_raw_disk_is_whole_when_its_size_is(tmp_path: Path) -> None:
    source = raw(tmp_path / "disk.raw")
    with source.open("r+b") as file:
        file.truncate(512)
        file.truncate(4 * MIB)
    assert source.stat().st_blocks * 512 < MIB
    assert imported(source, tmp_path).virtual_size == 4 * MIB


def test_a_disk_that_does_not_say_where_it_ends_needs_a_hash(tmp_path: Path) -> None:
    source = raw(tmp_path / "disk.raw", scheme="none")
    with pytest.raises(InputError, match="cannot be checked whether the image is complete") as caught:
        imported(source, tmp_path)
    assert "--sha256" in caught.value.remedy
    assert imported(source, tmp_path, sha256=importing.digest(source)).virtual_size == 4 * MIB


def test_a_gpt_without_its_second_copy_is_refused(tmp_path: Path) -> None:
    source = raw(tmp_path / "disk.raw", scheme="gpt")
    with source.open("r+b") as file:
        file.seek(-512, os.SEEK_END)
        file.write(bytes(512))
    with pytest.raises(InputError, match="damaged"):
        imported(source, tmp_path)


@pytest.mark.parametrize(
    ("place", "form", "value"),
    [
        (20, ">I", 63),  # clusters of 8 EiB
        (36, ">I", 0),  # no table
        (40, ">Q", 2**60),  # a table that is elsewhere
        (48, ">Q", 2**60),
        (56, ">I", 2**31),
    ],
)
def test_a_header_that_lies_costs_nothing(tmp_path: Path, place: int, form: str, value: int) -> None:
    file = converted(raw(tmp_path / "disk.raw"))
    with file.open("r+b") as stream:
        stream.seek(place)
        stream.write(struct.pack(form, value))
    with pytest.raises((InputError, ProcessError)):
        imported(file, tmp_path)


NAMES = ["ubuntu_24.04", "a", "a.", "a-", "x" * 64, "x" * 65, "Ubuntu", "a b", "", ".a", "-a", "a/b", "ä", "a\n"]


@pytest.mark.parametrize("name", NAMES)
def test_a_topology_names_just_those_images_that_can_be_imported(name: str) -> None:
    text = f"name: t\ndefaults: {{image: {json.dumps(name)}}}\nnetworks: {{mgmt: {{kind: nat}}}}\n"
    text += "nodes: {n: {nics: [{network: mgmt}]}}\n"

    def refused(look: Callable[[], object]) -> bool:
        try:
            look()
        except InputError as exc:
            return "is not an image name" in str(exc)
        return False

    assert refused(lambda: topology.loads(text, "t.yaml")) == refused(lambda: check_name(name))
