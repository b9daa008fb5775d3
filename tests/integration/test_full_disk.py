"""A full disk: a clear error, nothing lost, nothing half-made; with room again the same command completes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.lab_host import LabHost

pytestmark = [pytest.mark.root, pytest.mark.slow]

SIZE = 192 * 1024**2


@pytest.fixture
def small(tmp_path: Path) -> Iterator[LabHost]:
    """An installation whose state folder and storage pool lie on a file system of 192 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755", "tmpfs", folder], check=True)
    host = LabHost(folder / "home")
    try:
        yield host
    finally:
        host.remove()
        subprocess.run(["umount", folder], check=True)


def disk(path: Path, mebibytes: int) -> Path:
    """Write a disk with boot code that does nothing, and content that cannot be left out."""
    with path.open("wb") as file:
        file.write(bytes(510) + b"\x55\xaa" + os.urandom(mebibytes * 1024**2))
    return path


def fill(host: LabHost, leave: int) -> Path:
    """Take all room but so many bytes."""
    filler = host.home.parent / "filler"
    room = os.statvfs(host.home.parent)
    with filler.open("wb") as file:
        file.write(bytes(max(0, room.f_bavail * room.f_frsize - leave)))
    return filler


def test_an_image_that_does_not_fit_leaves_nothing(small: LabHost, tmp_path: Path) -> None:
    small.labctl("host", "up")
    small.labctl("image", "list")
    before = small.inventory()
    failed = small.labctl("image", "import", "big", str(disk(tmp_path / "big.raw", 150)), check=False)
    assert failed.returncode in (1, 3)
    assert "Traceback" not in failed.stderr
    assert "space" in failed.stderr.lower() or "room" in failed.stderr.lower() or "GiB" in failed.stderr
    assert small.inventory() == before
    small.labctl("image", "import", "small", str(disk(tmp_path / "small.raw", 8)))


def test_a_lab_that_does_not_fit_is_completed_when_there_is_room(small: LabHost, tmp_path: Path) -> None:
    small.labctl("image", "import", "debian-13", str(disk(tmp_path / "small.raw", 8)))
    before = small.inventory()
    create = ("create", "tight", "--topology", "mini", "--no-wait", "--overcommit")
    filler = fill(small, leave=300 * 1024)
    failed = small.labctl(*create, check=False)
    assert failed.returncode in (1, 3), failed.stdout + failed.stderr
    assert "Traceback" not in failed.stderr
    assert "space" in failed.stderr.lower(), failed.stderr
    filler.unlink()
    small.labctl(*create)
    assert [node["state"] for node in small.document("status", "tight")["nodes"]] == ["running"] * 2
    small.labctl("destroy", "tight")
    assert small.inventory() == before
