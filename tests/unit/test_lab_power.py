"""Labs are stopped and started; guests are asked first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labctl.errors import InputError
from labctl.hypervisor import State
from labctl.pace import pace
from labctl.site.site import Site
from tests.unit.fake_site import World


def test_a_stopped_lab_starts_as_it_was(world: World) -> None:
    world.create("red")
    world.host.guest("red-node-1").write(mark="mine")
    assert world.stop("red") == ["node-1", "node-2"]
    assert [node.state for node in world.status("red").nodes] == ["shut off", "shut off"]
    assert world.stop("red") == []
    world.start("red")
    assert [node.ready for node in world.status("red").nodes] == [True, True]
    assert world.host.guest("red-node-1").disk["mark"] == "mine"


def test_one_node_is_stopped_alone(world: World) -> None:
    world.create("red")
    assert world.stop("red", "node-2") == ["node-2"]
    assert [node.state for node in world.status("red").nodes] == ["running", "shut off"]
    with pytest.raises(InputError, match="no node node-9"):
        world.stop("red", "node-9")


def test_the_plug_of_a_guest_that_does_not_listen_is_pulled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Site, "pace", replace(pace("qemu"), shutdown=0.01))
    world.create("red")
    world.host.guest("red-node-1").listens = False
    world.stop("red")
    assert world.host.domain("red-node-1").state is State.SHUTOFF
    assert any("red-node-1 did not power off" in line for line in world.notes.said)


def test_force_asks_no_guest(world: World) -> None:
    world.create("red")
    world.host.guest("red-node-1").listens = False
    assert world.stop("red", force=True) == ["node-1", "node-2"]
    assert world.notes.said == []


def test_networks_that_a_host_lost_are_started_before_the_nodes(world: World) -> None:
    world.create("red")
    world.host.restart()
    world.start("red")
    status = world.status("red")
    assert ([node.ready for node in status.nodes], status.missing) == ([True, True], ())
