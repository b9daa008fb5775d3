"""The state folder: private, all or nothing, locked."""

from __future__ import annotations

import json
import os
import stat
import threading
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from netaddr import IPNetwork

from labctl.errors import DamagedError, LockedError
from labctl.installing import passwords
from labctl.installing.journal import Journal
from labctl.lab import secrets
from labctl.plan.lab import plan
from labctl.plan.model import Identity, LabPlan
from labctl.spec import topology
from labctl.state import Home, LabRecord, write_atomically

MINI = topology.load("mini")
NODE = next(iter(MINI.nodes))


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
        topology=MINI.document(),
        digest=MINI.digest,
        stage="bare",
        virt="qemu",
    )


def test_a_record_is_read_as_it_was_written(home: Home, record: LabRecord) -> None:
    changed = replace(record, generations={NODE: 2}, ready={NODE: 1}, volumes=("red-a", "snapshot-red.x-1"))
    home.lab("red").save(changed)
    assert home.lab("red").load() == changed
    assert home.records() == [changed]


def test_files_are_for_their_owner_alone(home: Home, record: LabRecord) -> None:
    home.lab("red").save(record)
    assert stat.S_IMODE((home.root / "labs/red/lab.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((home.root / "labs/red").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('"bare": []', '"bare": [', "Invalid JSON"),
        ('"team": "red"', '"team": "blue"', "it is not red's, but the lab of: blue"),
        ('"stage": "bare"', '"stage": "half"', "not a stage: half"),
        ('"virt": "qemu"', '"virt": "xen"', "not a kind of virtualisation: xen"),
        ('"virt"', '"virtu"', "virtu: Unexpected keyword"),
        ("192.168.128.0/24", "192.168.128/nothing", "mgmt: "),
        ("192.168.128.0/24", "fd00::/64", "not an IPv4 subnet: fd00::/64"),
        ('"host": "local"', '"host": "../../etc/shadow"', "not a host: ../../etc/shadow"),
        ('"host": "local"', '"host": ""', 'not a host: ""'),
        ('"cold": false', '"cold": 1', "cold: "),
        ('"generations": {}', '"generations": {"nobody": 1}', "nodes that are not in the topology: nobody"),
        ('"generations": {}', f'"generations": {{"{NODE}": -1}}', f"generations below zero: {NODE}"),
        ('"golden": ""', '"golden": "../x"', "not IDs of golden sets"),
        ('"volumes": []', '"volumes": ["image-debian-13.qcow2", "red-../x"]', "volumes that are not the lab's"),
        ('"kind": "nat"', '"kind": "natt"', "kind"),
    ],
)
def test_a_record_that_labctl_cannot_have_written_is_damaged(
    home: Home, record: LabRecord, before: str, after: str, why: str
) -> None:
    text = record.to_json()
    assert before in text
    home.lab("red").write("lab.json", text.replace(before, after))
    with pytest.raises(DamagedError, match=r"lab\.json is damaged") as caught:
        home.lab("red").load()
    assert why in caught.value.details
    assert "labctl destroy red" in caught.value.remedy


def test_a_record_of_any_length_is_read_or_damaged(home: Home, record: LabRecord) -> None:
    text = record.to_json()
    for length in range(0, len(text), 7):
        home.lab("red").write("lab.json", text[:length])
        with pytest.raises(DamagedError):
            home.lab("red").load()


def test_a_record_that_is_no_text_or_no_file_is_damaged(home: Home, record: LabRecord) -> None:
    home.lab("red").save(record)
    (home.root / "labs/red/lab.json").write_bytes(b"\xff\xfe{")
    (home.root / "labs/blue/lab.json").mkdir(parents=True)
    assert sorted(home.damaged()) == ["blue", "red"]
    assert home.records() == []


def test_a_damaged_record_is_named_and_set_aside(home: Home, record: LabRecord) -> None:
    home.lab("red").save(record)
    home.lab("blue").write("lab.json", replace(record, team="blue").to_json()[:-40])
    assert home.records() == [record]
    assert list(home.damaged()) == ["blue"]


def test_a_damaged_record_still_names_its_host(home: Home, record: LabRecord) -> None:
    for host in ("local", "qemu+ssh://root@kvm1/system"):
        home.lab("red").write("lab.json", replace(record, host=host).to_json()[:-40])
        assert home.lab("red").host() == host
    home.lab("red").write("lab.json", '{"host": "../../etc"')
    assert home.lab("red").host() is None


@pytest.mark.parametrize("text", ["", "4711", "\x00", "00000000-0000-0000-0000-00000000000"])
def test_a_damaged_owner_is_named_with_the_id_that_records_have(home: Home, record: LabRecord, text: str) -> None:
    home.lab("red").save(record)
    write_atomically(home.root / "owner", text)
    with pytest.raises(DamagedError, match="owner is damaged") as caught:
        _ = home.owner
    assert caught.value.remedy == f"Write into it what it was: {record.owner}"


@pytest.mark.parametrize("content", [b"Not A Team", b"\xff", b"a b"])
def test_a_damaged_default_team_is_named(home: Home, content: bytes) -> None:
    home.team = "red"
    (home.root / "team").write_bytes(content)
    with pytest.raises(DamagedError, match="team is damaged") as caught:
        _ = home.team
    assert "labctl use" in caught.value.remedy
    home.team = "blue"
    assert home.team == "blue"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": {"private": "x"}}', '{"a": {"private": "x", "public": "y"}}'])
def test_damaged_host_keys_are_named(home: Home, record: LabRecord, text: str) -> None:
    folder = home.lab("red")
    folder.write("host-keys.json", text)
    with pytest.raises(DamagedError, match=r"host-keys\.json is damaged"):
        secrets.host_key(folder, NODE)
    with pytest.raises(DamagedError, match=r"host-keys\.json is damaged"):
        secrets.ensure(folder, planned(record))


def test_host_keys_of_two_pairs_are_damaged(home: Home, record: LabRecord) -> None:
    folder = home.lab("red")
    secrets.ensure(folder, planned(record))
    stored = json.loads(folder.read("host-keys.json") or "")
    one, other = list(stored)[:2]
    stored[one]["public"] = stored[other]["public"]
    folder.write("host-keys.json", json.dumps(stored))
    with pytest.raises(DamagedError, match=r"host-keys\.json is damaged"):
        secrets.ensure(folder, planned(record))


def test_a_login_key_that_was_cut_off_is_named_and_kept(home: Home, record: LabRecord) -> None:
    folder = home.lab("red")
    secrets.ensure(folder, planned(record))
    whole = folder.read("id_ed25519") or ""
    folder.write("id_ed25519", whole[: len(whole) // 2])
    for read in (lambda: secrets.login_key(folder), lambda: secrets.ensure(folder, planned(record))):
        with pytest.raises(DamagedError, match="id_ed25519 is damaged"):
            read()
    assert folder.read("id_ed25519") == whole[: len(whole) // 2]


def test_a_lost_public_half_is_made_from_the_private_one(home: Home, record: LabRecord) -> None:
    folder = home.lab("red")
    before = secrets.ensure(folder, planned(record))
    folder.remove_file("id_ed25519.pub")
    assert secrets.ensure(folder, planned(record)) == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"admin": 5}', '{"key": "half"}'])
def test_damaged_secrets_of_a_cloud_are_named(home: Home, text: str) -> None:
    home.lab("red").write("openstack.json", text)
    with pytest.raises(DamagedError, match=r"openstack\.json is damaged"):
        passwords.load(home.lab("red"))


def test_a_journal_believes_only_whole_lines(tmp_path: Path) -> None:
    good = '["keystone: database", {"db-node": 0}]'
    bad = ["5", '["x", 5]', '["x"]', '[["x"], {}]', '{"x": {}}', '["x", {"db-node": "0"}]', '["x", {']
    (tmp_path / "install.jsonl").write_bytes("\n".join([good, *bad]).encode() + b"\n\xff\xfe\n")
    assert Journal(tmp_path / "install.jsonl", {}).done() == {"keystone: database": ("db-node",)}


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


def test_a_removed_lab_leaves_no_lock_of_a_killed_command(home: Home) -> None:
    names = ["shell:red.0", "check:red", "shell:red-2.0", "check:redder", "image:debian"]
    with home.lock("shell", "red.1"):
        for name in names:
            (home.root / "locks" / name).touch()
        home.remove_lab("red")
        left = {path.name for path in (home.root / "locks").iterdir()}
    assert left == {*names[2:], "shell:red.1"}


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


def planned(record: LabRecord) -> LabPlan:
    identity = Identity(team=record.team, lab=record.lab, owner=record.owner, mgmt=record.mgmt)
    return plan(MINI, identity)
