"""A lab that is saved goes on, whatever ends the run that saves it; no memory ever meets disks that are newer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

from labctl.errors import LabctlError
from labctl.hypervisor import State
from labctl.sets import hold
from tests.unit.fake_site import World

NODES = ("red-node-1", "red-node-2")


class Killed(BaseException):
    """The process is gone."""


@contextmanager
def killed(world: World, at: str) -> Iterator[None]:
    """End the command inside the block when it comes to a call; nothing reaches the host afterwards."""
    gone = []

    def trace(call: str) -> None:
        if gone or at in call:
            gone.append(call)
            raise Killed(call)

    world.trace = trace
    with pytest.raises(Killed):
        yield
    world.trace = lambda _: None


def hashing(*_: object, **__: object) -> NoReturn:
    raise Killed


SAVES = {"a capture": lambda world: world.capture("red"), "a snapshot": lambda world: world.snapshot("red", "lunch")}
NEXT = {
    "start": lambda world: world.start("red"),
    "create": lambda world: world.create("red"),
    "reset": lambda world: world.reset("red", "node-1"),
    "capture": lambda world: world.capture("red"),
}


@pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)
@pytest.mark.parametrize("off", ["host", "stop"])
@pytest.mark.parametrize("following", NEXT.values(), ids=NEXT)
def test_memory_of_a_save_that_ended_while_it_hashed_never_comes_back(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    save: Callable[[World], object],
    off: str,
    following: Callable[[World], object],
) -> None:
    world.create("red")
    before = world.inventory()["files"]
    boots = {name: world.host.guest(name).memory["boot"] for name in NODES}
    with monkeypatch.context() as patched:
        patched.setattr(hold, "_described", hashing)
        with pytest.raises(Killed):
            save(world)
    for name in NODES:
        world.host.guest(name).write(later=True)
    if off == "host":
        world.host.restart()
    else:
        world.stop("red", force=True)
    try:
        following(world)
    except LabctlError:
        assert following is NEXT["capture"]  # which wants a lab that runs, and has said so
        world.start("red")
    world.start("red")
    assert world.host.accidents == []
    for name in NODES:
        guest = world.host.guest(name)
        assert guest.memory["boot"] != boots[name]
        assert guest.disk.get("later") or following is NEXT["reset"]
    assert world.inventory()["files"] == before


@pytest.mark.parametrize("at", ["suspend domain red-node-2", "save the memory of domain red-node-2", "copy volume red"])
@pytest.mark.parametrize("lost", [False, True])
def test_a_lab_that_was_still_held_goes_on_where_it_stood(world: World, at: str, lost: bool) -> None:
    world.create("red")
    before = world.inventory()["files"]
    with killed(world, f"before: {at}"):
        world.capture("red")
    if lost:
        world.host.restart()
    world.start("red")
    assert world.host.accidents == []
    assert [world.host.domain(name).state for name in NODES] == [State.RUNNING] * 2
    assert world.inventory()["files"] == before
    assert world.home.lab("red").read(hold.NOTE) is None


def test_a_node_that_somebody_started_while_it_was_held_keeps_what_it_wrote_since(world: World) -> None:
    world.create("red")
    with killed(world, "before: restore a domain's memory"):
        world.capture("red")
    world.site().hypervisor.start_domain(world.host.domain("red-node-1").uuid)  # as virsh start does
    world.host.guest("red-node-1").write(later=True)
    world.host.restart()
    world.start("red")
    assert world.host.accidents == []
    assert world.host.guest("red-node-1").disk["later"]


@pytest.mark.parametrize("end", ["before: upload into volume", "sealed"])
def test_a_set_that_was_sealed_stays_and_one_that_was_not_goes(world: World, end: str) -> None:
    world.create("red")
    before = world.inventory()["files"]
    if end == "sealed":
        made = world.capture("red")
        world.home.lab("red").write(hold.NOTE, json.dumps({"stem": made.stem, "held": False}))
        before = world.inventory()["files"]
    else:
        with killed(world, end):
            world.capture("red")
    world.create("red")
    assert world.inventory()["files"] == before
    assert world.home.lab("red").read(hold.NOTE) is None


@pytest.mark.parametrize("note", ["", "{", "[]", '{"stem": "../x", "held": true}', '{"stem": 3}', '{"held": true}'])
def test_a_note_that_cannot_be_read_promises_nothing(world: World, note: str) -> None:
    world.create("red")
    before = world.inventory()["files"]
    world.home.lab("red").write(hold.NOTE, note)
    world.stop("red", force=True)
    assert world.start("red").started == ("node-1", "node-2")
    assert world.inventory()["files"] == before
    assert world.home.lab("red").read(hold.NOTE) is None


def test_a_note_that_is_no_text_does_not_keep_a_lab_from_destruction(world: World) -> None:
    world.create("red")
    (world.home.lab("red").path / hold.NOTE).write_bytes(b"\xff\xfe")
    world.destroy("red")
    assert world.inventory()["domains"] == []
