"""Golden sets move between hosts in one file; nothing of a file that is not whole appears."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import zstandard

from labctl.errors import InputError, LabctlError
from labctl.lab.decisions import Choice
from labctl.sets import bundle, store
from labctl.sets.manifest import GoldenManifest
from tests.unit.fake_site import World


@pytest.fixture
def exported(world: World, tmp_path: Path) -> Path:
    """Return the file of a set that was captured from a lab."""
    world.create("red")
    world.host.guest("red-node-1").write(mark="red")
    bundle.export(world.work(), world.capture("red"), tmp_path / "set")
    return tmp_path / "set"


def imported(world: World, file: Path) -> GoldenManifest:
    return bundle.import_(world.work(), file)


def test_a_set_is_used_on_another_host_as_on_its_own(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")
    made = imported(other, exported)
    bundle.verify(other.work(), made)
    other.create("green", choice=Choice(golden="mini-bare"))
    assert other.host.guest("green-node-1").disk["mark"] == "red"
    assert other.host.accidents == []


def test_a_file_of_a_set_is_its_owners_alone(exported: Path) -> None:
    assert exported.stat().st_mode & 0o077 == 0


def test_a_set_is_not_imported_twice(world: World, exported: Path) -> None:
    with pytest.raises(InputError, match="is on this host already"):
        imported(world, exported)


def changed(content: bytes) -> bytes:
    """Change one bit of a bundle's largest member; what fills the archive up is of no account."""
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)) as stream:
        unpacked = bytearray(stream.read())
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as archive:
        largest = max(archive, key=lambda member: member.size)
    unpacked[largest.offset_data + largest.size // 2] ^= 1
    return zstandard.ZstdCompressor().compress(bytes(unpacked))


@pytest.mark.parametrize("damage", ["cut off", "changed", "empty"])
def test_nothing_appears_of_a_file_that_is_not_whole(exported: Path, tmp_path: Path, damage: str) -> None:
    content = exported.read_bytes()
    exported.write_bytes({"cut off": content[: len(content) // 2], "changed": changed(content), "empty": b""}[damage])
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")
    before = other.inventory()
    with pytest.raises(InputError, match="cannot be imported"):
        imported(other, exported)
    assert other.inventory() == before


def test_a_volume_that_was_changed_is_named_by_verify(world: World, exported: Path) -> None:
    site = world.site()
    (golden,) = store.golden(site).every()
    volume = golden.disks["node-2"].volume
    world.host.files[site.volumes[volume].path].write(70_000, b"rot")
    with pytest.raises(LabctlError, match="is damaged") as caught:
        bundle.verify(world.work(), golden)
    assert caught.value.details == volume
