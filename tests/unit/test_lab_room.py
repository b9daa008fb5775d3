"""Room on the host: what is promised counts, whether it is taken already or not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.errors import CapacityError
from labctl.plan.capacity import GIB
from labctl.report import views
from labctl.site import room
from labctl.state import Home
from tests.unit.fake_site import World, died

MINI = 2 * (512 + 80 + 96)
"""MiB that the two nodes of topology mini take under emulation."""


def beside(world: World, moment: str, first: Callable[[], object], second: Callable[[], object]) -> None:
    """Run a command, and another one while the first stands still at a moment."""
    reached, go_on = threading.Event(), threading.Event()

    def trace(call: str) -> None:
        if call == moment and not reached.is_set():
            reached.set()
            assert go_on.wait(20)

    world.trace = trace
    running = threading.Thread(target=first)
    running.start()
    try:
        assert reached.wait(20), f"there was no {moment}"
        second()
    finally:
        go_on.set()
        running.join()
        world.trace = lambda _: None


def refused(world: World, team: str) -> None:
    """See that another lab has no room."""
    with pytest.raises(CapacityError):
        world.create(team)
    assert world.home.lab(team).load() is None


def test_two_creates_that_do_not_both_fit_are_one_and_a_refusal(world: World) -> None:
    world.host.memory = MINI + MINI // 2

    def second() -> None:
        with pytest.raises(CapacityError) as caught:
            world.create("green")
        assert "1.3 GiB that other commands are about to take" in caught.value.details

    beside(world, "before: define a domain", lambda: world.create("red"), second)
    assert {domain.name for domain in world.host.domains.values()} == {"red-node-1", "red-node-2"}
    assert world.home.lab("green").load() is None


def test_a_create_counts_what_a_start_is_about_to_take(world: World) -> None:
    world.host.memory = MINI + MINI // 2
    world.create("red")
    world.stop("red")
    beside(
        world,
        "before: start domain red-node-1",
        lambda: world.start("red"),
        lambda: refused(world, "green"),
    )


def test_a_create_counts_what_a_reset_has_taken_down_and_makes_anew(world: World) -> None:
    world.host.memory = MINI + MINI // 2
    world.create("red")
    beside(
        world,
        "before: define a domain",
        lambda: world.reset("red"),
        lambda: refused(world, "green"),
    )
    assert {node.state for node in world.status("red").nodes} == {"running"}


def test_a_create_counts_what_a_snapshot_brings_back(world: World) -> None:
    world.host.memory = MINI + MINI // 2
    world.create("red")
    world.snapshot("red", "before")
    beside(
        world,
        "before: define a domain",
        lambda: world.restore("red", "before"),
        lambda: refused(world, "green"),
    )


def test_a_create_counts_a_lab_that_is_off_while_it_is_captured(world: World) -> None:
    world.host.memory = MINI + MINI // 2
    world.create("red")
    beside(
        world,
        "after: save the memory of domain red-node-2",
        lambda: world.capture("red"),
        lambda: refused(world, "green"),
    )


def test_a_reservation_ends_with_its_process(world: World) -> None:
    world.host.memory = MINI + MINI // 2
    died(world, "before: define a domain", lambda: world.create("red"))
    world.create("green")


def test_memory_that_is_promised_and_not_yet_touched_counts_beside_other_programs(world: World) -> None:
    world.host.touched = 0.1
    world.create("red")
    free = room.left(world.home, world.site()).memory
    assert free == world.host.memory - MINI
    world.host.others = 10 * 1024
    assert room.left(world.home, world.site()).memory == free - 10 * 1024
    world.host.touched = 1.0
    assert room.left(world.home, world.site()).memory == free - 10 * 1024


def test_half_of_what_merging_saves_counts_as_left(world: World) -> None:
    world.host.touched = 1.0
    world.create("red")
    free = room.left(world.home, world.site()).memory
    world.host.merged = 200
    assert room.left(world.home, world.site()).memory == free + 100
    world.host.memory -= free - MINI + 200
    with pytest.raises(CapacityError) as caught:
        world.create("green")
    assert "1.2 GiB available, and 100 MiB that merging saves and guests may take back" in caught.value.details
    world.create("green", overcommit=True)


def test_status_tells_what_merging_saves(world: World) -> None:
    world.create("red")
    assert "merging" not in views.lab_table(world.status("red"))
    world.host.merged = 512
    shown = world.status("red")
    assert "Same-page merging saves 512 MiB on host fake" in views.lab_table(shown)
    assert views.lab_document(shown)["host_merged_bytes"] == 512 * 1024**2


def test_start_refuses_what_does_not_fit_any_more(world: World) -> None:
    world.create("red")
    world.stop("red")
    world.host.others = world.host.memory - MINI // 2
    with pytest.raises(CapacityError, match="not enough memory for 2 nodes"):
        world.start("red")
    assert {node.state for node in world.status("red").nodes} == {"shut off"}
    assert world.start("red", overcommit=True).started == ("node-1", "node-2")


def test_a_reset_of_nodes_that_are_off_refuses_before_anything_is_lost(world: World) -> None:
    world.create("red")
    world.host.guest("red-node-1").write(work="of days")
    world.stop("red")
    before = world.record("red")
    world.host.others = world.host.memory - MINI // 2
    with pytest.raises(CapacityError):
        world.reset("red")
    assert world.record("red") == before
    assert "work" in world.host.written(next(iter(world.host.files[path] for path in disks(world, "red-node-1"))))


def test_a_reset_of_nodes_that_run_needs_nothing_more(world: World) -> None:
    world.create("red")
    world.host.others = world.host.memory - MINI
    world.reset("red", "node-1")
    assert not [line for line in world.notes.said if "overcommitted" in line]


def test_a_file_system_that_others_filled_is_seen(world: World) -> None:
    world.site().room()
    world.host.elsewhere = world.host.disk - GIB // 2
    with pytest.raises(CapacityError, match="not enough disk"):
        world.create("red")


def test_disks_that_will_grow_count_as_if_they_had(world: World) -> None:
    free = room.left(world.home, world.site()).disk
    world.create("red")
    likely = 2 * 400 * 1024**2
    assert room.left(world.home, world.site()).disk == pytest.approx(free - likely, abs=4 * 1024**2)


def test_starting_needs_no_more_disk(world: World) -> None:
    world.create("red")
    world.stop("red")
    world.host.elsewhere = world.host.free - 1024
    assert world.start("red").started == ("node-1", "node-2")


def test_reservations_are_read_while_their_holders_live(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.reservations() == []
    with home.reserve("one"), home.reserve("two"):
        assert sorted(home.reservations()) == ["one", "two"]
    (tmp_path / "reservations" / "of the dead").write_text("three")
    assert home.reservations() == []
    assert list((tmp_path / "reservations").iterdir()) == []


def disks(world: World, domain: str) -> list[str]:
    """Return the paths of a domain's own disks."""
    return [path for path in world.host.files if path.endswith(f"/{domain}.qcow2")]


def test_a_reservation_that_cannot_be_read_stops_nobody(world: World) -> None:
    for text in ('{"host": "fake", "nod', "[]", '{"host": "fake", "nodes": [{"domain": 5}]}'):
        with world.home.reserve(text):
            world.create("red", named="mini")
