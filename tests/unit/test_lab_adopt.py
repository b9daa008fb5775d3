"""A lab that lost its record gets one again, and works as before."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from labctl.errors import InputError, LabctlError, RefusedError
from labctl.lab import adopt, orphans
from labctl.lab.adopt import Adopted
from labctl.spec import topology
from tests.unit.fake_site import World

BOTH = ("node-1", "node-2")


def adopted(world: World, named: str | None = None) -> Adopted:
    (orphan,) = orphans.find(world.home, world.site())
    spec = topology.load(named) if named else None
    return adopt.adopt(world.work(jobs=2), orphan, spec)


def lose(world: World, team: str) -> None:
    shutil.rmtree(world.home.lab(team).path)


def test_an_adopted_lab_has_the_record_that_it_lost(world: World) -> None:
    world.create("red", "blue")
    world.reset("red", "node-2")
    before = world.record("red")
    lose(world, "red")
    assert adopted(world) == Adopted(team="red", ready=BOTH, locked=())
    assert world.record("red") == before


def test_running_nodes_of_an_adopted_lab_get_new_keys(world: World) -> None:
    world.create("red")
    lose(world, "red")
    adopted(world)
    folder = world.home.lab("red")
    assert (folder.read("id_ed25519.pub") or "").strip() in world.host.guest("red-node-1").memory["files"][
        "/root/.ssh/authorized_keys"
    ]
    assert [node.ready for node in world.status("red").nodes] == [True, True]
    (again,) = world.create("red")
    assert (again.made, again.started) == ((), ())


def test_nodes_that_are_off_keep_their_old_keys_and_are_named(world: World) -> None:
    world.create("red")
    world.stop("red", "node-2")
    lose(world, "red")
    assert adopted(world) == Adopted(team="red", ready=("node-1",), locked=("node-2",))
    world.reset("red", "node-2")
    assert [node.ready for node in world.status("red").nodes] == [True, True]


def test_a_damaged_record_alone_costs_no_keys(world: World) -> None:
    world.create("red")
    before = world.record("red"), world.home.lab("red").read("host-keys.json")
    world.home.lab("red").write("lab.json", "{")
    adopted(world)
    assert (world.record("red"), world.home.lab("red").read("host-keys.json")) == before


def test_a_fork_is_adopted_with_its_golden_set(world: World) -> None:
    world.create("master")
    world.capture("master")
    world.create("red")
    golden = world.record("red").golden
    lose(world, "red")
    adopted(world)
    assert world.record("red").golden == golden != ""
    world.reset("red", "node-1")
    assert [node.ready for node in world.status("red").nodes] == [True, True]


def test_an_adopted_lab_is_destroyed_like_any_other(world: World) -> None:
    world.create("red")
    lose(world, "red")
    adopted(world)
    world.destroy("red")
    assert world.inventory()["domains"] == world.inventory()["networks"] == []
    assert [path for path in world.inventory()["files"] if "red" in path] == []


def test_another_topology_than_the_labs_is_refused(world: World) -> None:
    world.create("red")
    lose(world, "red")
    with pytest.raises(InputError, match="was made from another topology"):
        adopted(world, "gridka")
    assert not world.home.lab("red").exists


def test_a_topology_that_is_not_known_is_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.create("red")
    lose(world, "red")
    monkeypatch.setattr(topology, "shipped", list)
    with pytest.raises(InputError) as caught:
        adopted(world)
    assert caught.value.remedy == "labctl adopt red --topology FILE"


def test_a_team_with_another_lab_on_record_is_refused(world: World) -> None:
    world.create("red")
    (world.home.root / "labs/red").rename(world.home.root / "aside")
    (orphan,) = orphans.find(world.home, world.site())
    (world.home.root / "aside").rename(world.home.root / "labs/red")
    with pytest.raises(RefusedError, match="has another lab on record"):
        adopt.adopt(world.work(), orphan, None)


def test_objects_that_are_not_what_their_metadata_says_are_refused(world: World) -> None:
    world.create("red")
    lose(world, "red")
    (orphan,) = orphans.find(world.home, world.site())
    swapped = dict(zip(BOTH, reversed(orphan.domains.values()), strict=True))
    with pytest.raises(LabctlError, match="not what their metadata says"):
        adopt.adopt(world.work(), replace(orphan, domains=swapped), None)
    assert not world.home.lab("red").exists
