"""What a new lab will be, and what is refused before anything is made."""

from __future__ import annotations

import pytest

from labctl.errors import CapacityError, ForeignObjectError, InputError, RefusedError
from labctl.lab.decisions import Choice
from tests.unit.fake_site import World

FOREIGN = "<domain type='qemu'><name>red-node-1</name><memory>65536</memory><os><type>hvm</type></os></domain>"


def test_a_lab_whose_image_the_host_lacks_is_refused_with_the_command_that_makes_it(world: World) -> None:
    world.site().images.remove("debian-13")
    with pytest.raises(InputError, match="no image debian-13") as caught:
        world.create("red")
    assert caught.value.remedy == "labctl image build debian-13"
    assert world.home.records() == []


def test_a_lab_with_a_foreign_objects_name_is_refused_and_nothing_is_made(world: World) -> None:
    world.site().hypervisor.define_domain(FOREIGN)
    before = world.inventory()
    with pytest.raises(ForeignObjectError) as caught:
        world.create("red")
    assert "domain red-node-1" in caught.value.details
    assert world.inventory() == before


def test_a_lab_that_does_not_fit_is_refused_with_the_numbers(world: World) -> None:
    world.host.memory = 512
    with pytest.raises(CapacityError, match="memory"):
        world.create("red")
    assert world.home.records() == []


def test_a_lab_of_another_topology_is_refused(world: World) -> None:
    world.create("red")
    with pytest.raises(RefusedError, match="another topology"):
        world.create("red", named="gridka")


def test_a_team_without_a_lab_needs_a_topology(world: World) -> None:
    with pytest.raises(InputError, match="red has no lab yet"):
        world.create("red", named=None)


def test_two_teams_have_subnets_of_their_own(world: World) -> None:
    world.create("red", "green")
    assert world.record("red").mgmt != world.record("green").mgmt


def test_the_newest_set_with_memory_is_taken_unless_another_is_named_or_cold_is_asked_for(world: World) -> None:
    world.create("red")
    first, _ = world.capture("red", "first"), world.capture("red", "second")
    world.create("cold", choice=Choice(cold=True))
    assert world.record("cold").golden == ""
    world.create("named", choice=Choice(golden="first"))
    assert world.record("named").golden == first.id
    with pytest.raises(RefusedError, match="was not made from golden set second"):
        world.create("named", choice=Choice(golden="second"))


def test_memory_of_another_qemu_is_not_restored_and_the_nodes_boot(world: World) -> None:
    world.create("red")
    world.capture("red")
    world.host.qemu = (8, 0, 0)
    world.create("green", choice=Choice(golden="mini-bare"))
    assert world.host.guest("green-node-1").memory["boot"] != world.host.guest("red-node-1").memory["boot"]
    assert any("QEMU is 8.0.0 here and was 7.2.0" in line for line in world.notes.said)


def test_a_set_of_another_topology_is_refused(world: World) -> None:
    world.create("red")
    world.capture("red")
    with pytest.raises(InputError, match="golden set mini-bare is of topology mini"):
        world.create("green", named="gridka", choice=Choice(golden="mini-bare"))
