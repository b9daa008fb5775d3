"""Snapshots: a lab goes back to one of its own, disks and memory."""

from __future__ import annotations

import pytest

from labctl.errors import CapacityError, InputError
from labctl.lab import snapshot
from labctl.sets import snapshots
from tests.unit.fake_site import World


@pytest.fixture
def saved(world: World) -> World:
    """Return a world with a lab, its snapshot, and what its learners did since."""
    world.create("red")
    world.host.guest("red-node-1").write(mark="lunch")
    world.snapshot("red", "lunch")
    world.host.guest("red-node-1").write(mark="dinner")
    return world


def test_a_lab_that_is_saved_goes_on(saved: World) -> None:
    assert [node.ready for node in saved.status("red").nodes] == [True, True]
    assert saved.host.guest("red-node-1").disk["mark"] == "dinner"
    assert [snapshots.label(each) for each in snapshots.every(saved.home, saved.site(), "red")] == ["lunch"]


def test_disks_and_memory_come_back_together(saved: World) -> None:
    boot = saved.host.guest("red-node-1").memory["boot"]
    saved.restore("red", "lunch")
    guest = saved.host.guest("red-node-1")
    assert (guest.disk["mark"], guest.memory["boot"]) == ("lunch", boot)
    assert saved.host.accidents == []
    saved.restore("red", "lunch")  # as often as one likes
    assert [node.ready for node in saved.status("red").nodes] == [True, True]


def test_a_snapshot_is_removed_with_all_that_is_of_it(saved: World) -> None:
    snapshot.remove(saved.home, saved.site(), "red", "lunch")
    assert not any("/snapshot-" in path for path in saved.host.files)
    with pytest.raises(InputError, match="no snapshot lunch"):
        saved.restore("red", "lunch")


def test_another_teams_snapshot_is_none_of_ones_own(saved: World) -> None:
    saved.create("green")
    with pytest.raises(InputError, match="the lab of green has no snapshot lunch"):
        saved.restore("green", "lunch")


def test_snapshots_go_with_their_lab(saved: World) -> None:
    saved.destroy("red")
    assert not any("/snapshot-" in path for path in saved.host.files)


def test_a_lab_of_which_a_node_is_off_is_not_saved(world: World) -> None:
    world.create("red")
    world.stop("red", "node-2")
    with pytest.raises(InputError, match="not every node of red runs"):
        world.snapshot("red", "lunch")
    with pytest.raises(InputError):
        world.capture("red")


def test_a_save_that_does_not_fit_is_refused_and_the_lab_runs_on(world: World) -> None:
    world.create("red")
    world.host.elsewhere = world.host.disk - 512 * 1024**2
    with pytest.raises(CapacityError):
        world.snapshot("red", "lunch")
    assert [node.ready for node in world.status("red").nodes] == [True, True]
