"""The state folder: private, all or nothing, locked."""

from __future__ import annotations

import stat
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


def test_a_held_lock_is_refused_and_leaves_no_file(home: Home) -> None:
    with home.lock("red"), pytest.raises(LockedError, match="red"), Home(home.root).lock("red"):
        pass
    assert list((home.root / "locks").iterdir()) == []


def test_removing_a_lab_leaves_nothing(home: Home, record: LabRecord) -> None:
    home.lab("red").save(record)
    home.lab("red").remove()
    assert list((home.root / "labs").iterdir()) == []
