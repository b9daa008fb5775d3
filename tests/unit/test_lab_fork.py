"""Forks: nodes that go on from memory become their own lab's, and nobody who works on them loses anything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labctl.errors import RefusedError
from labctl.hypervisor import State
from labctl.lab import secrets
from labctl.sizes import size
from tests.unit.fake_site import AUTHORIZED, KNOWN_HOSTS, MACHINE_ID, World


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def forkable(world: World) -> World:
    """Return an installation with a golden set that has memory."""
    world.create("red")
    world.capture("red")
    return world


@contextmanager
def killed(world: World, at: str) -> Iterator[None]:
    """End the command inside the block when it comes to a call; nothing reaches the host afterwards."""
    gone = threading.Event()

    def trace(call: str) -> None:
        if gone.is_set() or at in call:
            gone.set()
            raise Killed(call)

    world.trace = trace
    with pytest.raises(Killed):
        yield
    world.trace = lambda _: None


def test_a_fork_that_nobody_waits_for_is_its_own_labs(forkable: World) -> None:
    forkable.create("green", wait=False)
    red, green = (forkable.host.guest(f"{team}-node-1").memory for team in ("red", "green"))
    assert green["boot"] == red["boot"]
    assert green["files"][AUTHORIZED] != red["files"][AUTHORIZED]
    assert green["files"][MACHINE_ID] != red["files"].get(MACHINE_ID)


def test_a_forks_nodes_that_know_host_keys_know_those_of_their_own_lab(world: World) -> None:
    world.create("red")
    world.host.guest("red-node-1").memory["files"][KNOWN_HOSTS] = "of red\n"
    world.capture("red")
    world.create("green")
    node_1, node_2 = (world.host.guest(f"green-{name}").memory["files"] for name in ("node-1", "node-2"))
    assert node_1[KNOWN_HOSTS] == secrets.known_hosts(world.home.lab("green"), world.plan("green"))
    assert KNOWN_HOSTS not in node_2  # no role has written any there


def test_a_fork_is_ready_without_a_login(forkable: World) -> None:
    calls: list[str] = []
    forkable.trace = calls.append
    forkable.create("green")
    assert not [call for call in calls if "log in to" in call]
    assert len([call for call in calls if call == "before: run a command in green-node-1"]) == 1
    assert forkable.record("green").ready == {"node-1": 0, "node-2": 0}


def test_a_fork_says_how_much_is_read(forkable: World) -> None:
    read = sum(len(file.content) for path, file in forkable.host.files.items() if path.endswith(".memory"))
    forkable.notes.said.clear()
    forkable.create("green")
    assert f"green: 2 nodes continue from memory, {size(read)} are read" in forkable.notes.said
    forkable.notes.said.clear()
    forkable.create("green")
    assert forkable.notes.said == []


def test_a_fork_that_nobody_waited_for_is_kept_by_the_next_create(forkable: World) -> None:
    forkable.create("green", wait=False)
    machine = forkable.host.guest("green-node-1")
    machine.write(learner=True)
    (again,) = forkable.create("green")
    assert (again.made, again.started) == ((), ())
    assert forkable.host.guest("green-node-1") is machine
    assert all(node.ready for node in forkable.status("green").nodes)


def test_a_node_that_had_to_boot_is_kept_by_the_next_create(forkable: World) -> None:
    (memory,) = [path for path in forkable.host.files if path.endswith("-node-1.memory")]
    file = forkable.host.files[memory]
    file.write(file.size - 4, b"????")  # QEMU refuses it
    forkable.create("green", wait=False)
    machine = forkable.host.guest("green-node-1")
    assert machine.memory["boot"] != forkable.host.guest("red-node-1").memory["boot"]
    forkable.create("green")
    assert forkable.host.guest("green-node-1") is machine


def test_a_fork_that_went_off_before_it_was_ready_boots_from_its_own_disk(forkable: World) -> None:
    forkable.create("green", wait=False)
    forkable.host.guest("green-node-1").write(learner=True)
    forkable.host.restart()
    forkable.create("green")
    assert forkable.host.accidents == []
    assert forkable.host.guest("green-node-1").disk["learner"]


@pytest.mark.parametrize("cold", [False, True])
@pytest.mark.parametrize(
    "at", ["restore a domain's memory", "resume domain green-node-1", "run a command in green-node-1"]
)
def test_a_fork_that_ended_before_it_was_its_own_labs_is_made_anew(forkable: World, at: str, cold: bool) -> None:
    with killed(forkable, f"before: {at}"):
        forkable.create("green")
    forkable.create("green", cold=cold)
    assert forkable.host.accidents == []
    assert all(node.ready for node in forkable.status("green").nodes)


def test_a_fork_that_is_not_its_own_labs_yet_is_not_started(forkable: World) -> None:
    with killed(forkable, "before: resume domain green-node-1"):
        forkable.create("green")
    assert forkable.host.domain("green-node-1").state is State.PAUSED
    with pytest.raises(RefusedError, match="incomplete") as caught:
        forkable.start("green")
    assert caught.value.remedy.startswith("labctl create green")
    forkable.create("green")
    assert forkable.start("green").started == ()


def test_a_fork_whose_domain_was_removed_is_its_own_labs_again(forkable: World) -> None:
    forkable.create("green")
    forkable.site().hypervisor.remove_domain(forkable.host.domain("green-node-1").uuid)
    forkable.create("green")
    assert forkable.host.accidents == []
    assert all(node.ready for node in forkable.status("green").nodes)


@pytest.fixture
def other(forkable: World, tmp_path: Path) -> World:
    """Return another installation on the same host."""
    (tmp_path / "other").mkdir()
    made = World(tmp_path / "other")
    made.host = forkable.host
    return made


def test_two_installations_never_write_to_one_memory_image(forkable: World, other: World) -> None:
    images = {path: file for path, file in forkable.host.files.items() if path.endswith(".memory")}
    before = {path: bytes(file.content) for path, file in images.items()}
    other.create("blue")
    forkable.create("green")
    assert {path: bytes(file.content) for path, file in images.items()} == before
    assert {path for path in forkable.host.files if path.endswith(".memory")} == set(images)
    for world, team in ((forkable, "green"), (other, "blue")):
        assert world.host.guest(f"{team}-node-1").memory["boot"] == world.host.guest("red-node-1").memory["boot"]
        assert all(node.ready for node in world.status(team).nodes)
        assert not [name for name in world.record(team).volumes if name.endswith(".memory")]


def test_a_copy_of_memory_that_a_killed_run_left_goes_with_the_lab(forkable: World, other: World) -> None:
    before = forkable.inventory()
    with killed(other, "before: restore a domain's memory"):
        other.create("blue")
    other.destroy("blue")
    assert forkable.inventory() == before


def test_alone_on_its_host_an_installation_copies_no_memory(forkable: World) -> None:
    calls: list[str] = []
    forkable.trace = calls.append
    forkable.create("green")
    assert not any("copy volume" in call for call in calls)


@pytest.mark.parametrize("at", ["define a network", "start network red-mgmt"])
def test_a_subnet_that_another_installation_was_faster_to_take_is_given_up(world: World, at: str) -> None:
    with killed(world, f"before: {at}"):
        world.create("red")
    taken = world.record("red").mgmt
    world.site().hypervisor.create_network(
        f"<network><name>theirs</name><bridge name='theirs0'/>"
        f"<ip address='{taken[1]}' prefix='{taken.prefixlen}'/></network>"
    )
    world.create("red")
    assert world.record("red").mgmt != taken
    assert all(node.ready for node in world.status("red").nodes)


def test_a_lab_that_runs_keeps_its_subnet(world: World) -> None:
    world.create("red")
    before = world.record("red")
    world.create("red")
    assert world.record("red") == before
