"""What `start` takes for running, and what it lets go on."""

from __future__ import annotations

import pytest

from labctl.cli import labs
from labctl.errors import CapacityError
from labctl.hypervisor import State
from labctl.lab import power
from tests.unit.fake_site import World


def fill_up(world: World, domain: str) -> None:
    """Have a guest write to a full disk: QEMU pauses it."""
    found = world.host.domain(domain)
    found.state, found.reason = State.PAUSED, "I/O error"


def test_a_guest_whose_disk_was_full_goes_on(world: World) -> None:
    world.create("red")
    fill_up(world, "red-node-1")
    assert world.start("red").resumed == ("node-1",)
    assert [node.state for node in world.status("red").nodes] == ["running"] * 2


def test_a_guest_whose_disk_is_still_full_is_not_said_to_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "_AGAIN", 0.2)
    world.create("red")
    fill_up(world, "red-node-1")
    world.trace = lambda call: fill_up(world, "red-node-1") if call == "after: resume domain red-node-1" else None
    with pytest.raises(CapacityError, match="red-node-1 is paused again"):
        world.start("red")


def test_a_guest_that_somebody_paused_goes_on(world: World) -> None:
    world.create("red")
    world.host.domain("red-node-2").state = State.PAUSED
    calls: list[str] = []
    world.trace = calls.append
    assert world.start("red", "node-2").resumed == ("node-2",)
    sets_its_clock = calls.index("after: run a command in red-node-2")
    assert calls.index("after: resume domain red-node-2") < sets_its_clock


def test_create_tells_what_is_off_or_paused_after_the_host_came_back(world: World) -> None:
    world.create("red")
    world.host.restart()
    (created,) = world.create("red", named=None)
    assert (created.made, created.off) == ((), ("node-1", "node-2"))
    assert labs.said(created) == "red: 3 networks started. Off: node-1, node-2; labctl start red. labctl status red"
    world.start("red")
    fill_up(world, "red-node-1")
    (created,) = world.create("red", named=None)
    assert labs.said(created) == "red: nothing to do. Off: node-1; labctl start red."


def test_create_tells_that_it_let_a_node_go_on(world: World) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(world, "before: resume domain red-node-1")
    (created,) = world.create("red")
    assert "node-1" in created.resumed
    assert labs.said(created) == "red: 1 node resumed. labctl status red"


def interrupted(world: World, moment: str) -> None:
    def trace(call: str) -> None:
        if call == moment:
            raise KeyboardInterrupt

    world.trace = trace
    try:
        world.create("red")
    finally:
        world.trace = lambda _: None


def test_stop_reads_no_manifest(world: World) -> None:
    world.create("red")
    world.capture("red")
    calls: list[str] = []
    world.trace = calls.append
    assert world.stop("red", force=True) == ["node-1", "node-2"]
    assert [call for call in calls if "volume" in call or "pool" in call] == []
