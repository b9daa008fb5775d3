"""What status says of nodes that are not ready, and that its advice leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import uuid4

import pytest

from labctl.errors import InputError, LabctlError
from labctl.hypervisor import State
from labctl.hypervisor.facts import IO_ERROR
from labctl.lab import reach
from labctl.report import views
from labctl.state import records
from tests.unit.fake_site import World


def node(world: World, name: str = "node-1") -> tuple[bool, str, str]:
    """Return whether status calls a node ready, what is wrong with it and what helps."""
    found = next(each for each in world.status("red").nodes if each.name == name)
    return found.ready, found.trouble.what if found.trouble else "", found.trouble.remedy if found.trouble else ""


def uuid(world: World, name: str) -> object:
    return next(each.uuid for each in world.host.domains.values() if each.name == name)


def removed(world: World) -> None:
    world.site().hypervisor.remove_domain(uuid(world, "red-node-1"))  # type: ignore[arg-type]


def replaced(world: World) -> None:
    removed(world)
    world.site().hypervisor.define_domain(
        f"<domain type='qemu'><name>red-node-1</name><uuid>{uuid4()}</uuid><memory>1024</memory>"
        "<os><type>hvm</type></os></domain>"
    )


def off(world: World) -> None:
    world.stop("red", "node-1")


def diskless(world: World) -> None:
    off(world)
    delete(world)


def delete(world: World) -> None:
    del world.host.files["/var/lib/libvirt/images/labctl/red-node-1.qcow2"]


def paused(world: World) -> None:
    world.site().hypervisor.suspend_domain(uuid(world, "red-node-1"))  # type: ignore[arg-type]


def full(world: World) -> None:
    domain = next(each for each in world.host.domains.values() if each.name == "red-node-1")
    domain.state, domain.reason = State.PAUSED, IO_ERROR


def stop_network(world: World) -> None:
    world.host.stop_network(next(each for each in world.host.networks.values() if each.facts.name == "red-mgmt"))


def restart_network(world: World) -> None:
    stop_network(world)
    found = next(each for each in world.host.networks.values() if each.facts.name == "red-mgmt")
    world.site().hypervisor.start_network(found.facts.uuid)


def unseen(world: World) -> None:
    record = world.record("red")
    begin_again = {name: number for name, number in record.ready.items() if name != "node-1"}
    world.home.lab("red").save(type(record)(**(vars(record) | {"ready": begin_again})))


@pytest.mark.parametrize(
    ("accident", "what", "remedy"),
    [
        (removed, "has no domain", "labctl create red"),
        (replaced, "a foreign domain has its name", "Rename or remove that domain"),
        (off, "is off", "labctl start red --node node-1"),
        (diskless, "is off, and has lost red-node-1.qcow2", "labctl reset node-1 -t red"),
        (delete, "has lost red-node-1.qcow2, and cannot start again once it is off", "labctl reset node-1 -t red"),
        (
            paused,
            "is paused: a golden capture runs or was interrupted, or somebody suspended it",
            "labctl start red --node node-1",
        ),
        (full, "the host's file system is full", "labctl start red"),
        (stop_network, "is cut off: red-mgmt does not run", "labctl start red"),
        (restart_network, "is cut off: red-mgmt was stopped and started under it", "labctl start red"),
        (unseen, "was not seen ready yet", "labctl create red"),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_status_names_the_cause_and_its_advice_helps(
    world: World, accident: Callable[[World], None], what: str, remedy: str
) -> None:
    world.create("red")
    assert node(world) == (True, "", "")
    accident(world)
    _, said, advice = node(world)
    assert what in said
    assert remedy in advice
    assert f"node-1 {said} → {advice}" in views.lab_table(world.status("red"))
    follow(world, advice)
    assert node(world)[:2] == (True, ""), advice


def follow(world: World, advice: str) -> None:
    """Do what an advice says."""
    if advice.startswith("Rename or remove that domain"):
        removed(world)
    found = re.search(r"labctl (create|start|reset) (\S+)(?: --node (\S+)| -t (\S+))?", advice)
    assert found is not None, advice
    command, first, single, team = found.groups()
    if command == "create":
        world.create(first, named=None)
    elif command == "start":
        world.start(first, *([single] if single else []))
    else:
        world.reset(team, first)


def test_a_node_that_runs_and_does_not_answer_is_called_silent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.create("red")
    monkeypatch.setattr(world.host, "at", lambda address: None)
    assert node(world) == (
        False,
        "does not answer by SSH",
        "labctl console node-1 -t red shows its screen; labctl reset node-1 -t red makes it new",
    )


@pytest.mark.parametrize(
    ("accident", "remedy"),
    [
        (removed, "labctl create red"),
        (replaced, "Rename or remove"),
        (off, "labctl start red --node node-1"),
        (diskless, "labctl reset node-1 -t red"),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_ssh_to_a_node_that_does_not_run_gives_advice_that_works(
    world: World, accident: Callable[[World], None], remedy: str
) -> None:
    world.create("red")
    accident(world)
    plan = records.plan_of(world.record("red"))
    with pytest.raises(InputError) as caught:
        reach.ssh(world.home, world.site(), plan, "node-1", [])
    assert remedy in caught.value.remedy
    follow(world, caught.value.remedy)
    assert reach.ssh(world.home, world.site(), plan, "node-1", [])[0] == "ssh"


def test_stop_stops_the_other_node_when_one_is_missing(world: World) -> None:
    world.create("red")
    removed(world)
    assert world.stop("red") == ["node-2"]
    assert any("red-node-1 has no domain; labctl create red" in text for text in world.notes.said)


def test_stop_leaves_a_foreign_domain_alone_and_says_so(world: World) -> None:
    world.create("red")
    replaced(world)
    assert world.stop("red") == ["node-2"]
    assert any("red-node-1 is a domain that is not red's" in text for text in world.notes.said)


def test_stop_needs_no_image(world: World) -> None:
    world.create("red")
    for path in [path for path in world.host.files if "image-" in path]:
        del world.host.files[path]
    assert world.stop("red") == ["node-1", "node-2"]


def test_start_starts_the_other_node_and_says_what_is_missing(world: World) -> None:
    world.create("red")
    world.stop("red")
    removed(world)
    with pytest.raises(LabctlError, match="red is not whole: node-1 missing") as caught:
        world.start("red")
    assert node(world, "node-2")[0]
    follow(world, caught.value.remedy)
    assert node(world)[0]


@pytest.mark.parametrize("command", ["start", "create"])
def test_a_disk_that_was_deleted_by_hand_is_named_with_a_reset(world: World, command: str) -> None:
    world.create("red")
    diskless(world)
    if command == "create":
        unseen(world)
    with pytest.raises(LabctlError, match="nodes of red have lost disks: node-1") as caught:
        world.start("red") if command == "start" else world.create("red", named=None)
    follow(world, caught.value.remedy)
    assert node(world) == (True, "", "")


@pytest.mark.parametrize(
    ("accident", "remedy"), [(removed, "labctl create red"), (off, "labctl start red"), (paused, "labctl start red")]
)
def test_a_capture_of_a_lab_that_does_not_run_gives_advice_that_works(
    world: World, accident: Callable[[World], None], remedy: str
) -> None:
    world.create("red")
    accident(world)
    with pytest.raises(InputError, match="not every node of red runs") as caught:
        world.capture("red")
    assert remedy in caught.value.remedy
    follow(world, caught.value.remedy)
    world.capture("red")


def test_advice_for_nodes_that_are_off_and_missing_makes_the_missing_first(world: World) -> None:
    world.create("red")
    world.stop("red")
    removed(world)
    with pytest.raises(InputError) as caught:
        world.capture("red")
    assert caught.value.remedy == "labctl create red"
