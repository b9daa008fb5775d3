"""One dialer per lab: which way a name or an address takes, and what is kept open."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from netaddr import IPNetwork

from labctl.errors import DeadlineError, InputError, RemoteError
from labctl.remote.forward import as_socket
from labctl.remote.inside import Closed, LabDialer, ThroughNodes
from labctl.remote.ssh import SshTransport
from labctl.remote.stream import Stream

NAMES = {"db-node": "10.0.0.3", "db-node.example.org": "172.16.0.3"}


@dataclass
class Noted:
    """A way that notes where it was to lead."""

    dialled: list[tuple[str, int, float]] = field(default_factory=list)

    def connect(self, address: str, port: int, *, timeout: float) -> Stream:
        self.dialled.append((address, port, timeout))
        return socket.socketpair()[0]


@pytest.mark.parametrize(
    ("name", "internal", "public"),
    [
        ("db-node", [("10.0.0.3", 22, 7)], []),
        ("db-node.example.org", [], [("172.16.0.3", 22, 7)]),
        ("10.0.0.99", [("10.0.0.99", 22, 7)], []),
        ("172.16.1.7", [], [("172.16.1.7", 22, 7)]),
    ],
)
def test_a_name_or_an_address_goes_the_way_of_its_network(name: str, internal: list[Any], public: list[Any]) -> None:
    one, other = Noted(), Noted()
    dialer = LabDialer("lab", names=NAMES, ways=[(IPNetwork("10.0.0.0/24"), one), (IPNetwork("172.16.0.0/16"), other)])
    dialer.open(name, 22, timeout=7).close()
    assert (one.dialled, other.dialled) == (internal, public)


@pytest.mark.parametrize("name", ["web", "192.0.2.1", "db-node.example.com", ""])
def test_what_is_not_of_the_lab_is_refused_and_no_packet_is_sent(name: str) -> None:
    way = Noted()
    with pytest.raises(InputError):
        LabDialer("lab", names=NAMES, ways=[(IPNetwork("10.0.0.0/24"), way)]).open(name, 22)
    assert way.dialled == []


def test_a_network_that_does_not_run_says_what_to_do() -> None:
    way = Closed("network red-internal does not run", "labctl start red")
    with pytest.raises(RemoteError, match="does not run") as caught:
        LabDialer("lab", names=NAMES, ways=[(IPNetwork("10.0.0.0/24"), way)]).open("db-node", 22)
    assert caught.value.remedy == "labctl start red"


def test_who_waits_for_an_answer_is_ended_by_hanging_up_and_others_can_dial_afterwards() -> None:
    ends: list[socket.socket] = []

    class Silent:
        def connect(self, address: str, port: int, *, timeout: float) -> Stream:
            ours, theirs = socket.socketpair()
            ends.append(theirs)
            return ours

    dialer = LabDialer("lab", names=NAMES, ways=[(IPNetwork("10.0.0.0/24"), Silent())])
    waits, closed = dialer.open("db-node", 22), dialer.open("db-node", 22)
    closed.close()
    said: list[bytes] = []
    reader = threading.Thread(target=lambda: said.append(waits.recv(1)), daemon=True)
    reader.start()
    dialer.hang_up()
    reader.join(10)
    assert said == [b""]
    with dialer.open("db-node", 22) as again:
        ends[-1].sendall(b"x")
        assert again.recv(1) == b"x"


@dataclass
class Node:
    """A node that lets us in, or does not."""

    lets_in: bool = True
    alive: bool = True
    logins: int = 0
    forwarded: list[tuple[str, int]] = field(default_factory=list)

    def log_in(self, deadline: float) -> SshTransport:
        self.logins += 1
        if not self.lets_in:
            raise DeadlineError("it did not answer by SSH in time")
        self.alive = True
        return cast("SshTransport", self)

    def forward(self, host: str, port: int, *, timeout: float) -> Stream:
        self.forwarded.append((host, port))
        return socket.socketpair()[0]

    def close(self) -> None:
        self.alive = False


def test_a_node_that_lets_us_in_is_kept_and_one_that_does_not_is_passed_over() -> None:
    dead, good = Node(lets_in=False), Node()
    way = ThroughNodes({"dead": dead.log_in, "good": good.log_in})
    for port in (80, 81):
        way.connect("10.0.0.5", port, timeout=5).close()
    assert (dead.logins, good.logins, good.forwarded) == (1, 1, [("10.0.0.5", 80), ("10.0.0.5", 81)])
    good.alive = False  # it was reset
    way.connect("10.0.0.5", 82, timeout=5).close()
    assert good.logins == 2
    way.close()
    assert not good.alive


def test_when_no_node_lets_us_in_each_says_why() -> None:
    way = ThroughNodes({"one": Node(lets_in=False).log_in, "two": Node(lets_in=False).log_in})
    with pytest.raises(RemoteError) as caught:
        way.connect("10.0.0.5", 80, timeout=5)
    assert caught.value.details.splitlines() == [f"{name}: it did not answer by SSH in time" for name in ("one", "two")]


class Channel:
    """A stream that is no socket."""

    def __init__(self, inner: socket.socket) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_a_channel_becomes_a_socket_with_its_half_closes() -> None:
    near, far = socket.socketpair()
    far.settimeout(5)
    with as_socket(cast("Stream", Channel(near))) as ours:
        ours.settimeout(5)
        assert ours.fileno() >= 0
        ours.sendall(b"question")
        ours.shutdown(socket.SHUT_WR)
        assert far.recv(64) == b"question"
        assert far.recv(64) == b""
        far.sendall(b"answer")
        far.close()
        assert ours.recv(64) == b"answer"
        assert ours.recv(64) == b""
