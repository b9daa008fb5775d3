"""Ways into labs are kept while somebody uses them, and made anew when the lab is another one."""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from labctl.errors import InputError, RefusedError, RemoteError
from labctl.lab import events, inside, visit
from labctl.lab.visit import Visits
from labctl.plan.model import LabPlan
from labctl.rounds.events import Closed, Opened
from labctl.site import site
from tests.unit.fake_site import World


@dataclass
class Ways:
    """What was opened: how many ways into labs, how many are still open, and what was dialled."""

    made: int = 0
    open: int = 0
    dead: bool = False
    dialled: list[tuple[str, int]] = field(default_factory=list)
    started: list[bool] = field(default_factory=list)

    @contextlib.contextmanager
    def opened(self, *_: Any) -> Iterator[Ways]:
        self.made += 1
        self.open += 1
        self.dead = False
        yield self
        self.open -= 1

    def open_(self, address: str, port: int) -> socket.socket:
        if self.dead:
            raise RemoteError("no route")
        self.dialled.append((address, port))
        return socket.socketpair()[0]


@dataclass
class Way:
    ways: Ways

    def open(self, address: str, port: int) -> socket.socket:
        return self.ways.open_(address, port)


@pytest.fixture
def ways(world: World, monkeypatch: pytest.MonkeyPatch) -> Ways:
    made = Ways()

    @contextlib.contextmanager
    def there(*_: Any, start: bool, **__: Any) -> Iterator[Any]:
        made.started.append(start)
        yield world.site()

    @contextlib.contextmanager
    def way(*_: Any) -> Iterator[Way]:
        with made.opened():
            yield Way(made)

    monkeypatch.setattr(site, "opened", there)
    monkeypatch.setattr(inside, "opened", way)
    return made


def test_a_way_is_shared_and_no_host_is_started_for_it(world: World, ways: Ways) -> None:
    world.create("red")
    visits = Visits(world.home)
    for name, port in (("node-1", 80), ("red-node-1", 22), ("172.16.1.7", 443)):
        visits.dial("red", name, port).socket.close()
    plan = world.plan("red")
    assert ways.dialled == [("10.0.0.3", 80), (str(plan.nodes[0].mgmt), 22), ("172.16.1.7", 443)]
    assert (ways.made, ways.started) == (1, [False])


def test_what_is_not_the_labs_is_refused_before_anything_is_opened(world: World, ways: Ways) -> None:
    world.create("red", "blue")
    visits = Visits(world.home)
    blue: LabPlan = world.plan("blue")
    for host in ("localhost", "127.0.0.1", "blue-node-1", str(blue.nodes[0].mgmt), "node-9"):
        with pytest.raises(RefusedError):
            visits.dial("red", host, 22)
    with pytest.raises(InputError, match="has no lab"):
        visits.dial("green", "node-1", 22)
    assert ways.made == 0


def test_a_lab_that_is_another_one_gets_another_way_and_the_old_one_closes_after_its_last_user(
    world: World, ways: Ways
) -> None:
    world.create("red")
    visits = Visits(world.home)
    line = visits.dial("red", "node-1", 80)
    before = visits.marks("red")
    world.reset("red", "node-1")
    after = visits.marks("red")
    assert before["node-1"] != after["node-1"]
    assert before["node-2"] == after["node-2"]
    visits.dial("red", "node-1", 80).release()
    assert (ways.made, ways.open) == (2, 2)
    line.release()
    assert ways.open == 1
    world.destroy("red")
    assert visits.marks("red") == {}


def test_a_way_that_leads_nowhere_any_more_is_made_anew_once(
    world: World, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create("red")
    visits = Visits(world.home)
    visits.dial("red", "node-1", 80).release()
    ways.dead = True
    with pytest.raises(RemoteError):  # made a moment ago: it is the node that does not answer
        visits.dial("red", "node-1", 80)
    assert ways.made == 1
    monkeypatch.setattr(visit, "_TRUSTED", 0.0)
    visits.dial("red", "node-1", 80).release()
    assert (ways.made, ways.open) == (2, 1)


def test_what_nobody_uses_is_closed_after_a_while_and_the_rest_at_the_end(
    world: World, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create("red", "blue")
    visits = Visits(world.home)
    visits.dial("red", "node-1", 80).release()
    line = visits.dial("blue", "node-1", 80)
    visits.sweep()
    assert ways.open == 2
    monkeypatch.setattr(visit, "_IDLE", -1.0)
    visits.sweep()
    assert ways.open == 1
    visits.close()
    line.release()
    assert ways.open == 0


def test_a_team_works_on_the_lab_that_a_swap_gave_it_and_on_no_other(
    world: World, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visit, "_SEAT", 0.0)
    world.create("red", "blue")
    visits = Visits(world.home)
    before, blue = visits.marks("red"), world.plan("blue")
    events.append(world.home, "blue", Opened(at=1.0, round="one", minutes=30, player="red", faults=1))
    assert visits.plan("red").team == "blue"
    assert visits.marks("red") == visits.marks("blue") != before
    visits.dial("red", "red-node-1", 22)  # by the name that its own files have
    assert ways.dialled == [(str(blue.nodes[0].mgmt), 22)]
    for host in ("blue-node-1", str(world.plan("red").nodes[0].mgmt)):
        with pytest.raises(RefusedError):
            visits.dial("red", host, 22)
    events.append(world.home, "blue", Closed(at=2.0))
    assert visits.marks("red") == before


def test_the_keys_are_the_labs(world: World) -> None:
    world.create("red")
    keys = Visits(world.home).keys("red", "node-1")
    assert "PRIVATE KEY" in keys.private
    assert keys.host.startswith("ssh-ed25519 ")
    assert "PRIVATE" not in repr(keys)


def test_nobody_has_access_by_a_name_that_is_none(world: World) -> None:
    visits = Visits(world.home)
    assert [visits.access(name) for name in ("red", "", "../red", "x" * 200, "a\0b")] == [None] * 5


def test_a_console_shows_what_was_printed_before_and_holds_its_way_open(world: World, ways: Ways) -> None:
    world.create("red")
    hypervisor, log = world.site().hypervisor, b"it booted " * 50_000
    hypervisor.upload("labctl", "red-node-1-console.log", io.BytesIO(log), len(log))
    visits, got = Visits(world.home), list[bytes]()
    console = visits.console("red", "node-1", got.append)
    assert console.printed == log[-256 * 1024 :]
    console.write(b"root")
    assert got == [b"root"]
    visits.close()
    assert ways.open == 1
    console.close()
    console.close()
    assert (ways.open, got) == (0, [b"root", b""])


def test_a_lab_without_logs_has_consoles_all_the_same(world: World, ways: Ways) -> None:
    world.create("red")
    world.site().hypervisor.remove_volume("labctl", "red-node-1-console.log")
    visits = Visits(world.home)
    assert visits.console("red", "node-1", lambda _: None).printed == b""


def test_a_screen_is_that_of_the_node_on_its_hosts_loopback(
    world: World, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create("red", "blue")
    visits, dialled = Visits(world.home), list[tuple[str, int]]()

    def connect(_: object, address: str, port: int, *, timeout: float) -> socket.socket:
        dialled.append((address, port))
        return socket.socketpair()[0]

    monkeypatch.setattr(type(world.site().dialer), "connect", connect)
    places = [(team, node) for team in ("red", "blue") for node in ("node-1", "node-2")]
    lines = [visits.picture(team, node) for team, node in places]
    domains = world.site().domains
    assert dialled == [("127.0.0.1", domains[f"{team}-{node}"].picture) for team, node in places]
    assert len(set(dialled)) == 4
    for line in lines:
        line.socket.close()
        line.release()


@pytest.mark.parametrize("kind", ["console", "picture"])
def test_a_node_that_is_off_or_unknown_has_neither_console_nor_screen(world: World, ways: Ways, kind: str) -> None:
    world.create("red")
    world.site().hypervisor.power_off(world.plan("red").nodes[0].uuid)
    visits = Visits(world.home)
    for node in ("node-1", "node-9"):
        with pytest.raises(InputError):
            visits.console("red", node, lambda _: None) if kind == "console" else visits.picture("red", node)
    visits.close()
    assert ways.open == 0
