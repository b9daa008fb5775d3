"""The state folder: private, all or nothing, locked."""

from __future__ import annotations

import os
import stat
import threading
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from netaddr import IPNetwork

from labctl.errors import LabctlError, LockedError
from labctl.state import Home, LabRecord, write_atomically


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def record() -> LabRecord:
    return LabRecord(
        team="red",
        lab=uuid4(),
        owner=uuid4(),
        host="local",
        mgmt=IPNetwork("192.168.128.0/24"),
        topology={"name": "mini"},
        digest="d",
        stage="bare",
        virt="qemu",
    )


def test_a_record_is_read_as_it_was_written(home: Home, record: LabRecord) -> None:
    changed = replace(record, generations={"db-node": 2}, ready={"db-node": 1}, volumes=("a", "b"))
    home.lab("red").save(changed)
    assert home.lab("red").load() == changed
    assert home.records() == [changed]


def test_files_are_for_their_owner_alone(home: Home, record: LabRecord) -> None:
    home.lab("red").save(record)
    assert stat.S_IMODE((home.root / "labs/red/lab.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((home.root / "labs/red").stat().st_mode) == 0o700


def test_a_damaged_record_is_an_error_that_names_the_file(home: Home, record: LabRecord) -> None:
    home.lab("red").write("lab.json", "{")
    with pytest.raises(LabctlError, match=r"lab\.json is damaged"):
        home.lab("red").load()


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_atomically(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(file, "\ud800")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_the_owner_is_drawn_once(home: Home) -> None:
    assert home.owner == Home(home.root).owner


def test_a_held_lock_is_refused_by_name_and_process_and_leaves_no_file(home: Home) -> None:
    with (
        home.lock("lab", "red"),
        pytest.raises(LockedError, match=rf"\(process {os.getpid()}\) is at work on lab red"),
        Home(home.root).lock("lab", "red"),
    ):
        pass
    assert list((home.root / "locks").iterdir()) == []


@pytest.mark.parametrize("team", ["leases", "owner", "image-x", "golden-x", "red.0"])
def test_a_team_shares_no_lock_with_labctl(home: Home, team: str) -> None:
    name = team.rpartition("-")[2]
    with home.lock("lab", team):
        assert home.owner
        with home.lock("home", "leases", wait=1), home.lock("image", name), home.lock("golden", name):
            pass
        with home.lock("shell", team):
            pass


def test_a_lock_lies_in_its_folder_whatever_its_name(home: Home) -> None:
    home.lab("red").write("lab.json", "kept")
    with home.lock("golden", "../labs/red/lab.json"), home.lock("golden", ".."):
        assert len(list((home.root / "locks").iterdir())) == 2
    assert home.lab("red").read("lab.json") == "kept"


def test_shared_holders_stand_side_by_side_and_keep_exclusive_ones_out(home: Home) -> None:
    with home.lock("golden", "set", shared=True):
        with home.lock("golden", "set", shared=True):
            pass
        with pytest.raises(LockedError), home.lock("golden", "set"):
            pass
    with home.lock("golden", "set"), pytest.raises(LockedError), home.lock("golden", "set", shared=True):
        pass
    assert list((home.root / "locks").iterdir()) == []


def test_a_lock_is_waited_for_no_longer_than_was_said(home: Home) -> None:
    with home.lock("home", "leases"), pytest.raises(LockedError), home.lock("home", "leases", wait=0.1):
        pass
    waited = threading.Thread(target=lambda: home.lock("home", "leases", wait=10).__enter__())
    with home.lock("home", "leases"):
        waited.start()
    waited.join(5)
    assert not waited.is_alive()


def test_locks_taken_by_many_at_once_are_held_by_one(home: Home) -> None:
    inside, most = [], []

    def work() -> None:
        for _ in range(20):
            with home.lock("home", "leases", wait=30):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert len(most) == 80


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077, 0o277])
def test_the_home_is_its_owners_alone_whatever_the_umask(home: Home, record: LabRecord, umask: int) -> None:
    before = os.umask(umask)
    try:
        home.lab("red").save(record)
        with home.lock("lab", "red"):
            pass
    finally:
        os.umask(before)
    folders = [home.root, *(path for path in home.root.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_removing_a_lab_leaves_nothing(home: Home, record: LabRecord) -> None:
    home.lab("red").save(record)
    home.lab("red").remove()
    assert list((home.root / "labs").iterdir()) == []
