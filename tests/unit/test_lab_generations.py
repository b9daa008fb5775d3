"""A node's generation is what its domain says: a record that is ahead of it is not believed."""

from __future__ import annotations

import pytest

from labctl.errors import InputError, RefusedError
from labctl.hypervisor import State
from labctl.lab import install, snapshot
from tests.unit.fake_site import World, died


@pytest.fixture
def torn(world: World) -> World:
    """A lab of which a node was to be reset, by a process that died before the old one was gone."""
    world.create("red")
    world.host.guest("red-node-1").write(ruined=True)
    died(world, "before: power domain red-node-1 off", lambda: world.reset("red", "node-1"))
    assert world.host.guest("red-node-1").disk["ruined"]
    return world


def test_create_finishes_a_reset_that_ended_before_the_old_node_was_gone(torn: World) -> None:
    (created,) = torn.create("red", named=None)
    assert created.made == ("red-node-1",)
    assert "ruined" not in torn.host.guest("red-node-1").disk
    owner = torn.site().domains["red-node-1"].owner
    assert owner is not None
    assert owner.generation == torn.record("red").ready["node-1"] == 1


def test_the_same_reset_finishes_it_too(torn: World) -> None:
    torn.reset("red", "node-1")
    assert "ruined" not in torn.host.guest("red-node-1").disk


def test_start_does_not_take_the_old_node_for_the_new_one(torn: World) -> None:
    torn.host.restart()
    with pytest.raises(RefusedError, match="node-1 of red is incomplete") as caught:
        torn.start("red")
    assert caught.value.remedy == "labctl create red completes it."
    assert "node-1" not in {name for name, seen in torn.record("red").ready.items() if seen == 1}
    assert torn.start("red", "node-2").started == ("node-2",)


def test_an_installation_does_not_take_the_old_node_for_the_new_one(torn: World) -> None:
    plan, record = torn.plan("red"), torn.record("red")
    with pytest.raises(RefusedError, match="incomplete"):
        install.check_running(torn.site(), plan, record, {"node-1", "node-2"})


def test_a_node_that_was_seen_ready_is_kept_whatever_its_metadata_says(world: World) -> None:
    world.create("red")
    record = world.record("red")
    folder = world.home.lab("red")
    ahead = {"generations": {"node-1": 1}, "ready": {"node-1": 1, "node-2": 0}}
    folder.save(record.__class__(**(vars(record) | ahead)))
    world.host.guest("red-node-1").write(work="of days")
    world.create("red", named=None)
    assert world.host.guest("red-node-1").disk["work"] == "of days"


def test_create_finishes_the_restore_of_a_snapshot(world: World) -> None:
    world.create("red")
    for name in ("red-node-1", "red-node-2"):
        world.host.guest(name).write(lunch=True)
    world.snapshot("red", "lunch")
    boots = {name: world.host.guest(f"red-{name}").memory["boot"] for name in ("node-1", "node-2")}
    for name in ("red-node-1", "red-node-2"):
        world.host.guest(name).write(ruined=True)
    died(world, "before: delete volume red-node-2.qcow2", lambda: world.restore("red", "lunch"))
    world.create("red", named=None)
    for name in ("node-1", "node-2"):
        guest = world.host.guest(f"red-{name}")
        assert guest.memory["boot"] == boots[name]
        assert guest.disk["lunch"]
        assert "ruined" not in guest.disk
    assert world.record("red").restoring == ""
    assert world.host.accidents == []
    world.reset("red", "node-1")
    assert "lunch" not in world.host.guest("red-node-1").disk


def test_a_lab_that_is_being_taken_back_keeps_its_snapshot_and_is_not_reset_in_part(world: World) -> None:
    world.create("red")
    world.snapshot("red", "lunch")
    died(world, "before: define a domain", lambda: world.restore("red", "lunch"))
    with pytest.raises(RefusedError, match="has an unfinished restore of snapshot lunch"):
        snapshot.remove(world.home, world.site(), "red", "lunch")
    with pytest.raises(RefusedError, match="has an unfinished restore of a snapshot"):
        world.reset("red", "node-1")
    world.reset("red")
    assert world.record("red").restoring == ""
    snapshot.remove(world.home, world.site(), "red", "lunch")


def test_a_lab_whose_snapshot_is_gone_half_way_is_not_made_up_from_something_else(world: World) -> None:
    world.create("red")
    saved = world.snapshot("red", "lunch")
    died(world, "before: define a domain", lambda: world.restore("red", "lunch"))
    world.site().hypervisor.remove_volume("labctl", f"{saved.stem}.json")
    with pytest.raises(InputError, match="was being restored to is gone"):
        world.create("red", named=None)
    world.reset("red")
    assert {node.state for node in world.status("red").nodes} == {"running"}


def test_a_restored_node_that_is_another_labs_still_is_not_started(world: World) -> None:
    world.create("red")
    world.capture("red")
    died(world, "before: resume domain green-node-1", lambda: world.create("green"))
    assert world.host.domain("green-node-1").state is State.PAUSED
    with pytest.raises(RefusedError, match="node-1, node-2 of green are incomplete"):
        world.start("green")
    world.create("green")
    assert [node.ready for node in world.status("green").nodes] == [True, True]


def test_status_says_of_an_unfinished_node_what_finishes_it_whatever_its_state(torn: World) -> None:
    for _ in range(2):
        (node,) = [node for node in torn.status("red").nodes if node.name == "node-1"]
        assert node.trouble is not None
        assert (node.ready, node.trouble.remedy) == (False, "labctl create red completes it")
        torn.host.restart()


def test_the_old_node_goes_into_no_snapshot(torn: World) -> None:
    with pytest.raises(RefusedError, match="incomplete"):
        torn.snapshot("red", "lunch")
