"""Labs are made, and completed from any state."""

from __future__ import annotations

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
