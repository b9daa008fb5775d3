"""Images and golden sets in a pool: what is kept, what is replaced, which one is meant, and what is believed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from labctl.errors import InputError, RefusedError
from labctl.hypervisor.fake_disk import qcow2
from labctl.images import importing
from labctl.images.store import Image, Manifest
from labctl.installing.journal import Journal
from labctl.lab import install
from labctl.render import xml
from labctl.sets import store
from labctl.sets.manifest import GoldenManifest
from tests.unit.fake_site import World, died

POOL = "labctl"


def image(world: World, tmp_path: Path, created: str, **options: Any) -> Image:
    """Publish an image whose bytes nobody else has."""
    file = tmp_path / "disk"
    file.write_bytes(qcow2(1024**3) + created.encode())
    made = Manifest(
        name="box",
        sha256=importing.digest(file),
        size=1,
        virtual_size=1024**3,
        os_info="",
        created=f"{created}T00:00:00+00:00",
        source="",
    )
    return world.site().images.publish(file, made, **options)


def put(world: World, name: str, document: Any) -> None:
    """Put a file into the pool, as anybody may who manages it."""
    content = json.dumps(document).encode()
    hypervisor = world.site().hypervisor
    hypervisor.remove_volume(POOL, name)
    hypervisor.create_volume(POOL, xml.volume_xml(name, "raw", len(content)))
    hypervisor.upload(POOL, name, io.BytesIO(content), len(content))


def test_a_new_image_takes_the_place_of_an_older_one_that_nothing_uses(world: World, tmp_path: Path) -> None:
    image(world, tmp_path, "2026-01-01")
    new = image(world, tmp_path, "2026-01-02")
    assert [each.volume for each in world.site().images.every() if each.manifest.name == "box"] == [new.volume]


@pytest.mark.parametrize("replaces", [True, False])
def test_an_older_image_takes_nothing_away_from_a_newer_one(world: World, tmp_path: Path, replaces: bool) -> None:
    new = image(world, tmp_path, "2026-01-02")
    old = image(world, tmp_path, "2026-01-01", replaces=replaces)
    assert old.manifest.created < new.manifest.created
    assert world.site().images.images()["box"] == new
    assert old in world.site().images.every()


def test_an_image_that_a_lab_on_record_stands_on_is_not_replaced(world: World, tmp_path: Path) -> None:
    old = image(world, tmp_path, "2026-01-01")
    image(world, tmp_path, "2026-01-02", in_use={old.volume})
    assert old in world.site().images.every()


def test_an_image_from_a_bundle_replaces_none(world: World, tmp_path: Path) -> None:
    old = image(world, tmp_path, "2026-01-01")
    image(world, tmp_path, "2026-01-02", replaces=False)
    assert old in world.site().images.every()


def test_an_image_that_another_installation_removes_while_it_is_published_is_not_called_published(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hypervisor = world.site().hypervisor
    upload = type(hypervisor).upload

    def uploaded(self: Any, pool: str, name: str, *rest: Any) -> None:
        upload(self, pool, name, *rest)
        if name.endswith(".json"):
            hypervisor.remove_volume(POOL, name.replace(".json", ".qcow2"))

    monkeypatch.setattr(type(hypervisor), "upload", uploaded)
    with pytest.raises(RefusedError, match="disappeared while it was published"):
        image(world, tmp_path, "2026-01-01")


def test_a_set_that_another_installation_takes_disks_from_while_it_is_published_leaves_nothing(world: World) -> None:
    world.create("red")
    made = world.capture("red")
    sets, hypervisor = store.golden(world.site()), world.site().hypervisor
    other = replace(made, id="0123456789ab")
    lost = replace(
        other,
        disks={name: replace(disk, volume=f"{other.stem}-{name}.qcow2") for name, disk in made.disks.items()},
        memory={},
    )
    first, *_ = lost.volumes
    hypervisor.create_volume(POOL, xml.volume_xml(first, "raw", 1))
    with pytest.raises(RefusedError, match="lost disks while it was published"):
        sets.seal(lost)
    assert not [name for name in hypervisor.volumes(POOL) if name.startswith(lost.stem)]
    assert sets.every() == [made]


def test_a_set_that_a_lab_on_record_stands_on_is_not_replaced(world: World) -> None:
    world.create("red")
    first = world.capture("red")
    world.create("green")
    for name in [path for path in world.host.files if "/green-" in path]:  # as if its nodes were being made anew
        del world.host.files[name]
    second = world.capture("red")
    assert {each.id for each in store.golden(world.site()).every()} == {first.id, second.id}


def test_a_lab_whose_nodes_all_stand_at_bare_does_without_its_set(world: World) -> None:
    world.create("red")
    made = world.capture("red")
    world.create("green")
    record = world.record("green")
    world.home.lab("green").save(replace(record, bare=("node-1", "node-2")))
    site = world.site()
    for volume in (*made.volumes, f"{made.stem}.json"):
        site.hypervisor.remove_volume(POOL, volume)
    assert world.stop("green", force=True) == ["node-1", "node-2"]
    world.home.lab("green").save(record)
    with pytest.raises(InputError, match="is gone"):
        world.start("green")


def test_a_capture_does_not_take_the_place_of_a_set_that_was_baked(world: World) -> None:
    world.create("red")
    first = world.capture("red")
    put(world, f"{first.stem}.json", asdict(replace(first, memory={}, machine=None)))
    world.capture("red")
    assert sorted(bool(each.memory) for each in store.golden(world.site()).every()) == [False, True]


def two(world: World) -> tuple[GoldenManifest, GoldenManifest]:
    """Make two sets of one name."""
    world.create("red")
    first = world.capture("red")
    world.create("green")
    return first, world.capture("red")


def test_a_name_of_two_sets_is_refused_and_their_ids_are_told(world: World) -> None:
    first, second = two(world)
    sets = store.golden(world.site())
    with pytest.raises(InputError, match="2 golden sets are called mini-bare") as caught:
        sets.named("mini-bare")
    assert first.id in caught.value.details
    assert second.id in caught.value.details
    assert (sets.named(first.id), sets.named(second.id)) == (first, second)
    with pytest.raises(InputError, match="2 golden sets"):
        store.remove(world.home, world.site(), "mini-bare")
    with pytest.raises(RefusedError, match="in use"):
        store.remove(world.home, world.site(), first.id)
    assert store.remove(world.home, world.site(), second.id) == "mini-bare"
    assert sets.named("mini-bare") == first


def test_status_tells_which_of_two_sets_a_lab_stands_on(world: World) -> None:
    first, _ = two(world)
    assert (world.status("green").golden, world.status("green").golden_id) == (first.name, first.id)


MANIFESTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a name with a slash": lambda each: each.update(name="../box"),
    "a negative size": lambda each: each.update(size=-1),
    "no size at all": lambda each: each.update(virtual_size=0),
    "a size of another type": lambda each: each.update(size="1"),
    "a name of another type": lambda each: each.update(name=None),
    "more than that": lambda each: each.update(more=1),
    "a time that is none": lambda each: each.update(created="tomorrow"),
    "another image": lambda each: each.update(sha256="0" * 64),
}


@pytest.mark.parametrize("change", MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_of_an_image_is_not_believed_blindly(
    world: World, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    made = image(world, tmp_path, "2026-01-01")
    document = asdict(made.manifest)
    change(document)
    put(world, f"{made.manifest.stem}.json", document)
    assert "box" not in world.site().images.images()


SETS: dict[str, Callable[[dict[str, Any]], object]] = {
    "another name": lambda each: each.update(name="other"),
    "a name with a slash": lambda each: each.update(name="a/b"),
    "another kind": lambda each: each.update(kind="snapshot"),
    "a stage that is none": lambda each: each.update(stage="half"),
    "a list for a text": lambda each: each.update(topology=[]),
    "a disk that is not its own": lambda each: each["disks"]["node-1"].update(volume="red-node-1.qcow2"),
    "a disk outside the pool": lambda each: each["disks"]["node-1"].update(volume=f"{each['name']}/../x"),
    "a negative size": lambda each: each["disks"]["node-1"].update(size=-1),
    "a disk of no size": lambda each: each["disks"]["node-1"].update(virtual_size=0),
    "a head without end": lambda each: each["memory"]["node-1"].update(room=2**40),
    "memory of a node that it has not": lambda each: each["memory"].update(x=each["memory"]["node-1"]),
    "an image outside the pool": lambda each: each.update(image="../../etc/passwd"),
    "more than that": lambda each: each.update(more=1),
    "a secret that is no text": lambda each: each.update(secrets={"admin": 3}),
    "another way to nest": lambda each: each.update(nested={"node-1": "xen"}),
}


@pytest.mark.parametrize("change", SETS.values(), ids=SETS)
def test_a_manifest_of_a_set_is_not_believed_blindly(world: World, change: Callable[[dict[str, Any]], object]) -> None:
    world.create("red")
    made = world.capture("red")
    document = json.loads(made.to_json())
    put(world, f"{made.stem}.json", document)
    assert store.golden(world.site()).every() == [made]
    change(document)
    put(world, f"{made.stem}.json", document)
    assert store.golden(world.site()).every() == []


def holds(world: World) -> bool:
    """Whether the installer takes it for done that the tables were made."""
    return Journal(world.home.lab("red").path / install.JOURNAL, world.record("red").generations).holds("tables")


def test_a_snapshot_brings_back_which_nodes_were_bare_and_how_instances_run(world: World) -> None:
    world.create("red")
    record = world.record("red")
    was = replace(record, bare=("node-2",), nested={"node-1": "kvm"}, installed=True)
    world.home.lab("red").save(was)
    world.snapshot("red", "lunch")
    now = world.record("red")
    world.home.lab("red").save(replace(now, bare=(), nested={"node-1": "qemu"}, installed=False))
    world.restore("red", "lunch")
    back = world.record("red")
    assert (back.bare, back.nested, back.installed) == (was.bare, was.nested, was.installed)
    assert world.host.accidents == []


def test_what_the_installer_did_before_a_snapshot_is_undone_by_a_later_reset(world: World) -> None:
    world.create("red")
    Journal(world.home.lab("red").path / install.JOURNAL, {}).note("tables", ["node-1"])
    world.snapshot("red", "lunch")
    world.restore("red", "lunch")
    assert holds(world)
    world.reset("red", "node-1")
    assert not holds(world)


def test_a_restore_that_ended_early_leaves_no_journal_of_disks_that_are_not_back(world: World) -> None:
    world.create("red")
    Journal(world.home.lab("red").path / install.JOURNAL, {}).note("tables", ["node-1"])
    world.snapshot("red", "lunch")
    died(world, "before: define a domain", lambda: world.restore("red", "lunch"))
    assert not holds(world)
    world.create("red")
    assert holds(world)
