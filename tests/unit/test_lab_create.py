"""Labs are made, and completed from any state."""

from __future__ import annotations

import pytest

from labctl.errors import DamagedError, HypervisorError
from labctl.hypervisor import State
from labctl.site.together import GroupError
from tests.unit.fake_site import World


def test_a_lab_is_made_and_its_nodes_get_ready(world: World) -> None:
    (made,) = world.create("red")
    assert made.started == ("node-1", "node-2")
    assert [node.ready for node in world.status("red").nodes] == [True, True]
    (again,) = world.create("red")
    assert (again.made, again.started) == ((), ())


def test_a_captured_lab_is_forked_with_its_memory_and_another_identity(world: World) -> None:
    world.create("red")
    world.host.guest("red-node-1").write(mark="red")
    world.capture("red")
    world.create("green")
    red, green = world.host.guest("red-node-1"), world.host.guest("green-node-1")
    assert green.memory["boot"] == red.memory["boot"]
    assert green.disk["mark"] == "red"
    assert green.memory["files"] != red.memory["files"]
    assert world.host.accidents == []


def test_a_node_that_cannot_be_made_keeps_no_other_from_getting_ready(world: World) -> None:
    def trace(call: str) -> None:
        if call == "before: start domain red-node-1":
            raise HypervisorError("cannot start domain red-node-1", details="no KVM today")

    world.trace = trace
    with pytest.raises(HypervisorError, match="cannot start domain red-node-1"):
        world.create("red", "green")
    assert [node.ready for node in world.status("red").nodes] == [False, True]
    assert [node.ready for node in world.status("green").nodes] == [True, True]
    assert world.host.domain("red-node-1").state is State.SHUTOFF
    world.trace = lambda _: None
    red, _ = world.create("red", "green", named=None)
    assert red.started == ("node-1",)


def test_all_that_failed_is_told_at_the_end(world: World) -> None:
    def trace(call: str) -> None:
        if call in ("before: start domain red-node-1", "before: resume domain green-node-2"):
            raise HypervisorError(call)

    world.trace = trace
    with pytest.raises(GroupError) as caught:
        world.create("red", "green")
    assert caught.value.details.splitlines() == [
        "before: start domain red-node-1",
        "before: resume domain green-node-2",
    ]
    assert caught.value.remedy.startswith("labctl create red green continues where this stopped")


@pytest.mark.parametrize("file", ["host-keys.json", "id_ed25519"])
def test_keys_that_standing_nodes_know_are_not_made_anew_when_they_are_lost(world: World, file: str) -> None:
    world.create("red")
    world.home.lab("red").remove_file(file)
    with pytest.raises(DamagedError, match=file.replace(".", r"\.")) as caught:
        world.create("red")
    assert "red" in caught.value.remedy
    assert world.home.lab("red").read(file) is None
