"""A full disk: a clear error, nothing lost, nothing half-made; with room again the same command completes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.lab_host import HALT, LabHost, stub_disk

pytestmark = [pytest.mark.root, pytest.mark.slow]

MIB = 1024**2

# Boot code that writes 48 MiB to the disk, 32 KiB at a time (BIOS call 13h, function 43h), and halts: two guests fill
# what little room there is, and not all that there is later.
WRITER = bytes.fromhex(
    "31c0 8ed8 8ec0 be247c b80043 b280 cd13 6683062c7c40 66813e2c7c00880100 72e5 f4 ebfd"
    "1000 4000 007c0000 0008000000000000"
)


@pytest.fixture(params=[192])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LabHost]:
    """An installation whose state folder and storage pool lie on a file system of 192 MiB, or so many."""
    folder, size = tmp_path / "small", request.param * MIB
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", folder], check=True)
    host = LabHost(folder / "home")
    try:
        yield host
    finally:
        host.remove()
        subprocess.run(["umount", folder], check=True)


def disk(path: Path, mebibytes: int, code: bytes = HALT) -> Path:
    """Write a disk with content that cannot be left out."""
    return stub_disk(path, code=code, content=os.urandom(mebibytes * MIB))


def fill(host: LabHost, leave: int) -> Path:
    """Take all room but so many bytes."""
    filler = host.home.parent / "filler"
    room = os.statvfs(host.home.parent)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, room.f_bavail * room.f_frsize - leave))
    return filler


def states(host: LabHost, team: str) -> list[str]:
    """Return the states of a lab's nodes."""
    return [node["state"] for node in host.document("status", team)["nodes"]]


def wait_for(wanted: Callable[[], bool]) -> None:
    """Wait for something for a minute."""
    deadline = time.monotonic() + 60
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_an_image_that_does_not_fit_leaves_nothing(small: LabHost, tmp_path: Path) -> None:
    small.labctl("host", "up")
    small.labctl("image", "list")
    before = small.inventory()
    failed = small.labctl("image", "import", "big", str(disk(tmp_path / "big.qcow2", 150)), check=False)
    assert failed.returncode in (1, 3)
    assert "Traceback" not in failed.stderr
    assert "space" in failed.stderr.lower() or "room" in failed.stderr.lower() or "GiB" in failed.stderr
    assert small.inventory() == before
    small.labctl("image", "import", "small", str(disk(tmp_path / "small.qcow2", 8)))


def test_a_lab_that_does_not_fit_is_completed_when_there_is_room(small: LabHost, tmp_path: Path) -> None:
    small.labctl("image", "import", "debian-13", str(disk(tmp_path / "small.qcow2", 8)))
    before = small.inventory()
    create = ("create", "tight", "--topology", "mini", "--no-wait", "--overcommit")
    filler = fill(small, leave=300 * 1024)
    failed = small.labctl(*create, check=False)
    assert failed.returncode in (1, 3), failed.stdout + failed.stderr
    assert "Traceback" not in failed.stderr
    assert "space" in failed.stderr.lower(), failed.stderr
    filler.unlink()
    small.labctl(*create)
    assert states(small, "tight") == ["running"] * 2
    small.labctl("destroy", "tight")
    assert small.inventory() == before


@pytest.mark.parametrize("small", [1200], indirect=True)
def test_a_file_system_that_another_program_filled_is_seen_before_anything_is_made(
    small: LabHost, tmp_path: Path
) -> None:
    small.labctl("image", "import", "debian-13", str(disk(tmp_path / "small.qcow2", 1)))
    before = small.inventory()  # libvirt has looked at the pool
    filler = fill(small, leave=600 * MIB)
    refused = small.labctl("create", "tight", "--topology", "mini", "--no-wait", check=False)
    assert refused.returncode == 3, refused.stderr
    assert "too little disk: 802 MiB needed, 600 MiB free in the pool" in refused.stderr
    assert small.inventory() == before
    filler.unlink()
    small.labctl("create", "tight", "--topology", "mini", "--no-wait")


def test_guests_that_were_paused_on_a_full_disk_go_on_when_there_is_room(small: LabHost, tmp_path: Path) -> None:
    small.labctl("image", "import", "debian-13", str(disk(tmp_path / "small.qcow2", 1, WRITER)))
    filler = fill(small, leave=32 * MIB)
    small.labctl("create", "tight", "--topology", "mini", "--no-wait", "--overcommit")
    wait_for(lambda: states(small, "tight") == ["paused"] * 2)
    assert "I/O error" in small.virsh("domstate", "--reason", "tight-node-1")
    full = small.labctl("start", "tight", "--no-wait", check=False)
    assert full.returncode == 3, full.stdout + full.stderr
    assert "tight-node-1 is paused again: its disk cannot be written to" in full.stderr
    filler.unlink()
    assert small.labctl("start", "tight", "--no-wait").stdout == "tight: resumed node-1, node-2.\n"
    assert states(small, "tight") == ["running"] * 2
    small.labctl("destroy", "tight")
