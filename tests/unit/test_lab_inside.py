"""A lab's dialer is made from its plan, and from where its bridges are: here, on another machine."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from labctl.errors import DeadlineError, RemoteError
from labctl.lab import inside
from labctl.remote.inside import LabDialer
from labctl.remote.ssh import SshTransport
from labctl.remote.stream import Stream
from tests.unit.fake_site import World


@dataclass
class Nodes:
    """The SSH servers of a lab's nodes; what they were asked to dial is noted."""

    dead: set[str] = field(default_factory=set)
    logins: list[str] = field(default_factory=list)
    dialled: list[tuple[str, str, int]] = field(default_factory=list)

    def log_in(self, dialer: object, address: str, *, name: str, deadline: float, **_: Any) -> SshTransport:
        self.logins.append(name)
        if name in self.dead:
            raise DeadlineError(f"{address} did not answer by SSH in time")
        return cast("SshTransport", Through(self, name))


@dataclass
class Through:
    nodes: Nodes
    name: str
    alive: bool = True

    def forward(self, host: str, port: int, *, timeout: float) -> Stream:
        self.nodes.dialled.append((self.name, host, port))
        return socket.socketpair()[0]

    def close(self) -> None:
        self.alive = False


@contextlib.contextmanager
def dialer(world: World, nodes: Nodes) -> Iterator[LabDialer]:
    site = replace(world.site(), log_in=nodes.log_in)
    with inside.opened(world.home, site, world.plan("red")) as made:
        yield made


def test_one_login_serves_all_networks_and_none_is_made_before_it_is_needed(world: World) -> None:
    world.create("red")
    nodes = Nodes()
    with dialer(world, nodes) as red:
        assert nodes.logins == []
        for name, port in (("node-2", 80), ("node-2.example.org", 5000), ("172.16.1.7", 22)):
            red.open(name, port).close()
    assert nodes.logins == ["node-1"]
    assert nodes.dialled == [("node-1", "10.0.0.4", 80), ("node-1", "172.16.0.4", 5000), ("node-1", "172.16.1.7", 22)]


def test_a_node_that_is_off_or_does_not_answer_is_passed_over(world: World) -> None:
    world.create("red")
    with dialer(world, nodes := Nodes(dead={"node-1"})) as red:
        red.open("node-1", 80).close()
    assert nodes.logins == ["node-1", "node-2"]
    world.stop("red", "node-1")
    with dialer(world, nodes := Nodes()) as red:
        red.open("node-1", 80).close()
    assert nodes.logins == ["node-2"]


def test_the_management_network_is_dialled_as_its_host_says(world: World) -> None:
    world.create("red")
    with dialer(world, nodes := Nodes()) as red, red.open(str(world.plan("red").node("node-1").mgmt), 22) as link:
        assert link.recv(7) == b"SSH-2.0"
    assert nodes.logins == []


def test_a_network_that_does_not_run_is_named_and_the_others_are_reached(world: World) -> None:
    world.create("red")
    world.host.stop_network(world.host.network("red-internal"))
    with dialer(world, nodes := Nodes()) as red:
        with pytest.raises(RemoteError, match="red-internal does not run") as caught:
            red.open("node-1", 80)
        red.open("node-1.example.org", 80).close()
    assert caught.value.remedy == "labctl start red"
    assert [host for _, host, _ in nodes.dialled] == ["172.16.0.3"]


def test_each_shell_and_dialer_has_addresses_that_nobody_else_in_the_lab_has(world: World) -> None:
    world.image("openstack")
    world.create("red", named="havana")
    site, plan = world.site(), world.plan("red")
    with inside.plugs(world.home, site, plan) as first, inside.plugs(world.home, site, plan) as second:
        addresses = {plug.name: plug.address for plug in first}
        assert addresses == {"internal": "192.168.0.254", "external": "10.0.0.127"}  # below the floating ones
        assert {plug.address for plug in second} == {"192.168.0.253", "10.0.0.126"}
    with inside.plugs(world.home, site, plan) as again:
        assert again == first
