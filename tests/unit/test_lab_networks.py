"""Networks that were stopped under running nodes, or whose start ended half-way."""

from __future__ import annotations

import pytest

from labctl.errors import HypervisorError
from tests.unit.fake_site import World, died


def cut(world: World, network: str) -> None:
    """Run `virsh net-destroy`."""
    world.host.stop_network(world.host.network(network))


def plugged(world: World, domain: str) -> set[str]:
    """Return the networks that a domain's cards are plugged into."""
    return set(world.host.plugged(world.host.guest(domain)).values())


ALL = {"red-mgmt", "red-internal", "red-public"}


@pytest.mark.parametrize("started", [False, True])
def test_start_plugs_nodes_into_a_network_that_was_stopped_under_them(world: World, started: bool) -> None:
    world.create("red")
    boots = world.host.guest("red-node-1").memory["boot"]
    cut(world, "red-mgmt")
    if started:  # by hand
        world.host.start_network(world.host.network("red-mgmt"))
    assert plugged(world, "red-node-1") == ALL - {"red-mgmt"}
    done = world.start("red")
    assert (done.started, done.plugged) == ((), ("node-1", "node-2"))
    assert plugged(world, "red-node-1") == plugged(world, "red-node-2") == ALL
    assert world.host.guest("red-node-1").memory["boot"] == boots
    assert {network.facts.name for network in world.host.networks.values()} == ALL
    assert world.start("red").plugged == ()


def test_create_plugs_them_too_and_says_so(world: World) -> None:
    world.create("red")
    for network in ("red-mgmt", "red-public"):
        cut(world, network)
    (created,) = world.create("red", named=None)
    assert created.made == ()
    assert created.networks == ("red-mgmt", "red-public")
    assert created.plugged == ("node-1", "node-2")
    assert plugged(world, "red-node-2") == ALL


def test_a_node_that_cannot_be_plugged_in_does_not_keep_the_others_from_it(world: World) -> None:
    world.create("red")
    cut(world, "red-internal")

    def trace(call: str) -> None:
        if call == "before: plug a card of domain red-node-1 into network red-internal-between":
            raise HypervisorError("cannot plug")

    world.trace = trace
    with pytest.raises(HypervisorError, match="cannot plug"):
        world.start("red")
    assert plugged(world, "red-node-2") == ALL
    assert {network.facts.name for network in world.host.networks.values()} == ALL


def test_a_run_that_died_while_it_plugged_leaves_nothing_behind(world: World) -> None:
    before = world.inventory()
    world.create("red")
    cut(world, "red-internal")
    died(world, "before: plug a card of domain red-node-1 into network red-internal", lambda: world.start("red"))
    assert "red-internal-between" in world.inventory()["networks"]
    assert world.start("red").plugged == ("node-1", "node-2")
    assert {network.facts.name for network in world.host.networks.values()} == ALL
    cut(world, "red-internal")
    died(world, "before: plug a card of domain red-node-1 into network red-internal", lambda: world.start("red"))
    world.destroy("red")
    assert world.inventory() == before


@pytest.mark.parametrize("left", ["", "192.168.128.1/24"], ids=["a bridge", "a bridge with the address"])
def test_a_start_that_libvirtd_did_not_survive_is_done_again(world: World, left: str) -> None:
    world.create("red")
    world.host.restart()
    network = world.host.network("red-mgmt")
    address = next(iter(network.facts.subnets), None)
    assert str(address) == "192.168.128.0/24"
    world.host.bridges[network.facts.bridge] = left
    assert world.start("red").started == ("node-1", "node-2")


def test_a_bridge_that_libvirtd_forgot_goes_with_the_lab(world: World) -> None:
    world.create("red")
    world.host.restart()
    world.host.bridges[world.host.network("red-mgmt").facts.bridge] = "192.168.128.1/24"
    world.destroy("red")
    assert world.host.bridges == {}
