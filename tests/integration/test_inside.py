"""Sockets in labs' networks: two labs with the same addresses, each reached by its names; nothing leaves them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from netaddr import IPNetwork

from labctl import waiting
from labctl.cloud import http
from labctl.errors import DeadlineError, ProcessError, RemoteError
from labctl.host.namespace import wrap
from labctl.host.plugged import Plug, Plugged
from labctl.remote.inside import LabDialer, Neighbour
from tests.integration.test_host_network import Bench

pytestmark = pytest.mark.root

LABS = ("red", "blue")
NAMES = {"api-node": "10.83.0.6", "api-node.example.org": "172.31.0.6"}
WEB = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        content = f"{sys.argv[1]} {self.headers['Host']} {self.client_address[0]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("0.0.0.0", 8774), Handler)
print("ready", flush=True)
server.serve_forever()
"""


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Make two labs: bridges of their own, and an API node that has the same addresses in both."""
    with contextlib.ExitStack() as stack:
        made = Bench(stack)
        for lab in LABS:
            made.bridge(f"{lab}-int")
            made.bridge(f"{lab}-pub")
            node = made.guest(f"{lab}-int", NAMES["api-node"])
            made.ip(
                made.host,
                f"link add {lab}pub type veth peer name eth1 netns {node.process.pid}",
                f"link set {lab}pub master {lab}-pub up",
            )
            made.ip(node, f"address add {NAMES['api-node.example.org']}/24 dev eth1", "link set eth1 up")
            server = stack.enter_context(
                subprocess.Popen(wrap(node, [sys.executable, "-c", WEB, lab]), stdout=subprocess.PIPE)
            )
            stack.callback(server.kill)
            assert server.stdout
            assert server.stdout.readline() == b"ready\n"
        yield made


def plugs(lab: str) -> list[Plug]:
    return [
        Plug(name="internal", bridge=f"{lab}-int", address="10.83.0.254", prefix=24),
        Plug(name="public", bridge=f"{lab}-pub", address="172.31.0.254", prefix=24),
    ]


@contextlib.contextmanager
def dialer(bench: Bench, lab: str) -> Iterator[LabDialer]:
    with contextlib.closing(Neighbour(lambda: Plugged(bench.host, plugs(lab)))) as way:
        networks = [IPNetwork("10.83.0.0/24"), IPNetwork("172.31.0.0/24")]
        yield LabDialer(lab, names=NAMES, ways=[(network, way) for network in networks])


def cards(bench: Bench) -> list[str]:
    """Name our cards beside the bridges."""
    said = subprocess.run(wrap(bench.host, ["ip", "-o", "link"]), capture_output=True, text=True, check=True).stdout
    return [line.split()[1] for line in said.splitlines() if line.split()[1].startswith("lbe")]


def wait_until_unplugged(bench: Bench) -> None:
    assert waiting.until(lambda: not cards(bench), seconds=10, pause=0.05), cards(bench)


@contextlib.contextmanager
def no_packet_outside() -> Iterator[None]:
    """See that nothing to or from the labs' addresses passes any card of this machine's own network."""
    wanted = [socket.inet_aton(address) for address in NAMES.values()]
    seen: list[bytes] = []
    stop = threading.Event()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as tap:
        tap.settimeout(0.1)

        def look() -> None:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    frame = tap.recv(65536)
                    if any(address in frame[:64] for address in wanted):
                        seen.append(frame)

        thread = threading.Thread(target=look)
        thread.start()
        yield
        time.sleep(0.3)
        stop.set()
        thread.join()
    assert seen == []


def test_two_labs_with_the_same_addresses_are_reached_side_by_side_by_name(bench: Bench) -> None:
    with no_packet_outside(), dialer(bench, "red") as red, dialer(bench, "blue") as blue:
        for lab, way in (("red", red), ("blue", blue)):
            with http.session(way) as session:
                said = session.get("http://api-node:8774/", timeout=10).text
                assert said == f"{lab} api-node:8774 10.83.0.254"
                said = session.get("http://api-node.example.org:8774/", timeout=10).text
                assert said == f"{lab} api-node.example.org:8774 172.31.0.254"
                assert session.get("http://10.83.0.6:8774/", timeout=10).text.startswith(lab)
        assert len(cards(bench)) == 4  # one namespace a lab, however many connections
    wait_until_unplugged(bench)


def test_a_network_that_was_made_anew_is_entered_again(bench: Bench) -> None:
    with dialer(bench, "red") as red:
        red.open("api-node", 8774, timeout=10).close()
        bench.ip(bench.host, "link delete red-int")
        bench.bridge("red-int")
        bench.ip(bench.host, "link set vnet0 master red-int")  # the node is plugged in again by whoever made it
        red.open("api-node", 8774, timeout=10).close()
        assert len(cards(bench)) == 2


def test_nobody_there_and_nobody_listening_are_told_apart_in_time(bench: Bench) -> None:
    with dialer(bench, "red") as red:
        with pytest.raises(RemoteError, match=r"10\.83\.0\.6 does not answer on port 9") as refused:
            red.open("api-node", 9, timeout=5)
        assert "refused" in refused.value.details
        began = time.monotonic()
        with pytest.raises(DeadlineError):
            red.open("10.83.0.77", 80, timeout=1)
        assert time.monotonic() - began < 3


def test_a_namespace_is_gone_with_the_process_that_was_killed(bench: Bench) -> None:
    script = (
        "import sys; from labctl.host.namespace import NetworkNamespace, connect; "
        "from labctl.host.plugged import Plug, Plugged; "
        f"place = Plugged(NetworkNamespace.of({bench.host.process.pid}), {plugs('red')!r}); "
        "link = connect(place, '10.83.0.6', 8774, timeout=5); print('in', flush=True); sys.stdin.read()"
    )
    ours = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert ours.stdout is not None
    assert ours.stdout.readline() == b"in\n"
    assert len(cards(bench)) == 2
    ours.send_signal(signal.SIGKILL)
    ours.wait()
    wait_until_unplugged(bench)


def test_no_card_of_an_ended_run_keeps_its_address(bench: Bench) -> None:
    ended = Plugged(bench.host, plugs("red"))
    held = ended.open()  # as the kernel holds it that has no time to take it apart
    try:
        ended.close()
        assert cards(bench) == []
    finally:
        os.close(held)


def test_a_card_of_a_killed_run_gives_way_to_the_next_with_its_address(bench: Bench) -> None:
    killed = Plugged(bench.host, plugs("red"))
    with contextlib.closing(killed), dialer(bench, "red") as red:
        for _ in range(5):
            with contextlib.closing(red.open("api-node", 8774, timeout=5)) as link:
                link.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert link.recv(65536)
        assert len(cards(bench)) == 2


def test_a_missing_bridge_leaves_nothing(bench: Bench) -> None:
    before = descriptors()
    with pytest.raises(ProcessError, match="failed with exit code"):
        Plugged(bench.host, [*plugs("red"), Plug(name="x", bridge="missing", address="10.84.0.1", prefix=24)])
    wait_until_unplugged(bench)
    assert descriptors() == before


def test_our_own_threads_stay_where_they_are(bench: Bench) -> None:
    own = Path("/proc/self/ns/net").readlink()
    with dialer(bench, "red") as red:
        red.open("api-node", 8774, timeout=5).close()
        # A thread that was joined is listed until the kernel has taken it apart.
        assert waiting.until(lambda: namespaces() == {own}, seconds=10, pause=0.05), namespaces()


def namespaces() -> set[Path]:
    """Return the networks that this process' threads are in."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it has ended
            found.add((task / "ns/net").readlink())
    return found


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
