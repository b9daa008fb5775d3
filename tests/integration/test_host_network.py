"""A private host's network: what guests of labs reach and what not, connections into it, and the shell in a lab."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import libvirt
import pytest
from netaddr import IPNetwork

from labctl.errors import DeadlineError, InputError, ProcessError, RemoteError
from labctl.host import kernel
from labctl.host.enter import enter
from labctl.host.firewall import ruleset
from labctl.host.namespace import NetworkNamespace, connect, routes, wrap
from labctl.host.plugged import Plug
from labctl.host.private import PrivateHost

pytestmark = pytest.mark.root

# Answers every TCP connection and every datagram with "hello".
SERVER = """
import select, socket, sys
address, ports = sys.argv[1], [int(port) for port in sys.argv[2:]]
tcp, udp = [], []
for port in ports:
    tcp.append(socket.create_server((address, port)))
    udp.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    udp[-1].bind((address, port))
print("ready", flush=True)
while True:
    for ready in select.select(tcp + udp, [], [])[0]:
        if ready in udp:
            ready.sendto(b"hello", ready.recvfrom(64)[1])
        else:
            peer = ready.accept()[0]
            peer.sendall(b"hello")
            peer.close()
"""


class Bench:
    """Bridges in a network namespace, with namespaces plugged into them as guests."""

    def __init__(self, stack: contextlib.ExitStack, host: NetworkNamespace | None = None) -> None:
        self.stack = stack
        self.host = host or self.namespace()
        self.ip(self.host, "link set lo up")
        self.guests: dict[str, NetworkNamespace] = {}

    def namespace(self) -> NetworkNamespace:
        process = self.stack.enter_context(
            subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", "echo ready; exec sleep 600"],
                stdout=subprocess.PIPE,
            )
        )
        self.stack.callback(process.kill)
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        return NetworkNamespace.of(process.pid)

    def ip(self, where: NetworkNamespace, *lines: str) -> None:
        text = "\n".join(lines) + "\n"
        subprocess.run(wrap(where, ["ip", "-batch", "-"]), input=text, text=True, check=True, timeout=20)

    def bridge(self, name: str, address: str | None = None) -> None:
        self.ip(self.host, f"link add {name} type bridge", f"link set {name} up")
        if address:
            self.ip(self.host, f"address add {address}/24 dev {name}")

    def guest(self, bridge: str, address: str, gateway: str | None = None) -> NetworkNamespace:
        made, number = self.namespace(), len(self.guests)
        self.ip(
            self.host,
            f"link add vnet{number} type veth peer name eth0 netns {made.process.pid}",
            f"link set vnet{number} master {bridge} up",
        )
        self.ip(made, "link set lo up", f"address add {address}/24 dev eth0", "link set eth0 up")
        if gateway:
            self.ip(made, f"route add default via {gateway}")
        self.guests[address] = made
        return made

    def serve(self, where: NetworkNamespace, *ports: int) -> None:
        server = self.stack.enter_context(
            subprocess.Popen(
                wrap(where, [sys.executable, "-c", SERVER, "0.0.0.0", *map(str, ports)]), stdout=subprocess.PIPE
            )
        )
        self.stack.callback(server.kill)
        assert server.stdout
        assert server.stdout.readline() == b"ready\n"


def tcp(where: NetworkNamespace, address: str, port: int) -> bool:
    try:
        with connect(where, address, port, timeout=1) as link:
            link.settimeout(1)
            return link.recv(8) == b"hello"
    except (DeadlineError, RemoteError, OSError):
        return False


def udp(where: NetworkNamespace, address: str, port: int) -> bool:
    answers: list[bytes] = []

    def ask() -> None:
        descriptor = where.open()
        kernel.setns(descriptor, kernel.NEW_NET)
        os.close(descriptor)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link, contextlib.suppress(OSError):
            link.settimeout(1)
            link.sendto(b"?", (address, port))
            answers.append(link.recv(8))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return answers == [b"hello"]


@pytest.fixture(scope="module", params=["plain", "br_netfilter"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Labs A (10.81.1.0/24) and B (10.81.2.0/24) with two guests each, and one guest of no lab (10.81.3.2)."""
    with contextlib.ExitStack() as stack:
        bench = Bench(stack)
        netfilter = "/proc/sys/net/bridge/bridge-nf-call-iptables"
        if request.param == "br_netfilter":
            if not Path(netfilter).exists():
                pytest.skip("this kernel has no br_netfilter")
            subprocess.run(wrap(bench.host, ["sh", "-c", f"echo 1 > {netfilter}"]), check=True, timeout=20)
        elif Path(netfilter).exists():
            subprocess.run(wrap(bench.host, ["sh", "-c", f"echo 0 > {netfilter}"]), check=True, timeout=20)
        subprocess.run(wrap(bench.host, ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]), check=True, timeout=20)
        for bridge, net in (("laba", 1), ("labb", 2), ("virbr9", 3)):
            bench.bridge(bridge, f"10.81.{net}.1")
            bench.serve(bench.guest(bridge, f"10.81.{net}.2", f"10.81.{net}.1"), 22, 80)
        bench.guest("laba", "10.81.1.3", "10.81.1.1")
        bench.guest("labb", "10.81.2.3", "10.81.2.1")
        bench.serve(bench.host, 22, 53, 67, 8080)
        yield bench


@pytest.fixture(scope="module")
def guarded(bench: Bench) -> Bench:
    """The same bench with the rules loaded, twice."""
    a, b = bench.guests["10.81.1.3"], bench.guests["10.81.2.3"]
    # The positive control: without the rules all of this works.
    assert tcp(a, "10.81.2.2", 80)
    assert tcp(a, "10.81.1.1", 8080)
    assert tcp(a, "10.81.2.1", 53)
    assert tcp(b, "10.81.3.2", 80)
    for _ in range(2):
        subprocess.run(wrap(bench.host, ["nft", "-f", "-"]), input=ruleset(), text=True, check=True, timeout=20)
    return bench


def test_guests_of_one_lab_reach_each_other(guarded: Bench) -> None:
    assert tcp(guarded.guests["10.81.1.3"], "10.81.1.2", 80)
    assert udp(guarded.guests["10.81.1.3"], "10.81.1.2", 80)
    assert tcp(guarded.guests["10.81.2.3"], "10.81.2.2", 22)


def test_a_guest_gets_dhcp_and_dns_from_its_own_network(guarded: Bench) -> None:
    guest = guarded.guests["10.81.1.3"]
    assert udp(guest, "10.81.1.1", 53)
    assert tcp(guest, "10.81.1.1", 53)
    assert udp(guest, "10.81.1.1", 67)


@pytest.mark.parametrize("port", [22, 8080])
def test_a_guest_reaches_nothing_else_of_the_host(guarded: Bench, port: int) -> None:
    assert not tcp(guarded.guests["10.81.1.3"], "10.81.1.1", port)
    assert not udp(guarded.guests["10.81.1.3"], "10.81.1.1", port)


@pytest.mark.parametrize("address", ["10.81.2.1", "10.81.3.1"])
def test_a_guest_reaches_no_other_address_of_the_host(guarded: Bench, address: str) -> None:
    assert not tcp(guarded.guests["10.81.1.3"], address, 53)
    assert not udp(guarded.guests["10.81.1.3"], address, 53)
    assert not udp(guarded.guests["10.81.1.3"], address, 67)


@pytest.mark.parametrize("address", ["10.81.2.2", "10.81.3.2"])
def test_a_guest_reaches_no_other_network(guarded: Bench, address: str) -> None:
    assert not tcp(guarded.guests["10.81.1.3"], address, 80)
    assert not udp(guarded.guests["10.81.1.3"], address, 80)


def test_nobody_outside_reaches_a_guest_but_the_host(guarded: Bench) -> None:
    assert not tcp(guarded.guests["10.81.3.2"], "10.81.1.2", 22)
    assert tcp(guarded.host, "10.81.1.2", 22)


def test_what_is_no_lab_is_left_alone(guarded: Bench) -> None:
    assert tcp(guarded.guests["10.81.3.2"], "10.81.3.1", 8080)
    assert tcp(guarded.guests["10.81.3.2"], "10.81.3.1", 53)


# Asks for an address as a client without one does: broadcast to port 67, answer by broadcast.
DISCOVER = """
import socket, sys
link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
link.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
link.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
link.bind(("", 68))
link.settimeout(10)
mac = bytes.fromhex("525400000001")
head = bytes([1, 1, 6, 0]) + b"abcd" + bytes([0, 0, 0x80, 0]) + bytes(16) + mac + bytes(10 + 192)
link.sendto(head + bytes([99, 130, 83, 99, 53, 1, 1, 255]), ("255.255.255.255", 67))
offer = link.recv(1024)
print(".".join(map(str, offer[16:20])))
"""


def test_a_guest_of_libvirts_network_is_offered_its_reserved_address(private_host: PrivateHost) -> None:
    link = libvirt.open(private_host.uri)
    network = link.networkCreateXML(
        "<network><name>leases</name><forward mode='nat'/><bridge name='lableases' stp='off' delay='0'/>"
        "<ip address='10.82.1.1' netmask='255.255.255.0'><dhcp><range start='10.82.1.100' end='10.82.1.200'/>"
        "<host mac='52:54:00:00:00:01' ip='10.82.1.11'/></dhcp></ip></network>"
    )
    try:
        with contextlib.ExitStack() as stack:
            bench = Bench(stack, host=private_host.namespace)
            guest = bench.guest("lableases", "10.82.1.9")
            asked = subprocess.run(
                wrap(guest, [sys.executable, "-c", DISCOVER]), capture_output=True, text=True, check=True, timeout=30
            )
            assert asked.stdout.strip() == "10.82.1.11"
            with connect(guest, "10.82.1.1", 53, timeout=5):
                pass
            bench.serve(private_host.namespace, 8080)
            assert tcp(private_host.namespace, "10.82.1.1", 8080)
            assert not tcp(guest, "10.82.1.1", 8080)
    finally:
        network.destroy()
        link.close()


def test_connect_leaves_the_calling_thread_where_it_is(bench: Bench) -> None:
    before = Path("/proc/thread-self/ns/net").stat().st_ino
    with connect(bench.host, "10.81.1.2", 22, timeout=5) as link:
        assert link.recv(8) == b"hello"
        assert link.gettimeout() is None
    assert Path("/proc/thread-self/ns/net").stat().st_ino == before
    with pytest.raises(RemoteError, match=r"10\.81\.1\.2 does not answer on port 9"):
        connect(bench.host, "10.81.1.2", 9, timeout=5)


def test_connect_says_when_the_namespace_is_gone(bench: Bench) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        namespace = NetworkNamespace.of(process.pid)
        process.kill()
    with pytest.raises(ProcessError, match="is gone"):
        connect(namespace, "10.81.1.2", 22, timeout=5)


def test_routes_are_those_of_the_namespace(bench: Bench) -> None:
    assert routes(bench.host) == [IPNetwork(f"10.81.{net}.0/24") for net in (1, 2, 3)]
    assert routes(bench.guests["10.81.1.3"]) == [IPNetwork("10.81.1.0/24")]


class Shell:
    """`enter` on a pseudo-terminal, in a process of its own as labctl would be."""

    def __init__(self, bench: Bench, argv: list[str]) -> None:
        plugs = [
            Plug(name="internal", bridge="laba", address="10.81.1.250", prefix=24, mtu=1400),
            Plug(name="public", bridge="labb", address="10.81.2.250", prefix=24),
        ]
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os._exit(
                enter(
                    argv,
                    base=bench.host,
                    plugs=plugs,
                    hosts="10.81.1.2 db-node\n10.81.2.2 db-node.example.org\n",
                    env={"PATH": os.environ["PATH"], "PS1": "lab$ ", "TERM": "dumb"},
                )
            )

    def read_until(self, text: str) -> str:
        said, deadline = "", time.monotonic() + 20
        while text not in said:
            assert select.select([self.terminal], [], [], deadline - time.monotonic())[0], f"no {text!r} in {said!r}"
            said += os.read(self.terminal, 4096).decode()
        return said

    def say(self, line: str) -> None:
        os.write(self.terminal, line.encode() + b"\n")

    def wait(self) -> int:
        with contextlib.suppress(OSError):  # the terminal's other side closes
            while os.read(self.terminal, 4096):
                pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def ports(bench: Bench) -> str:
    said = subprocess.run(wrap(bench.host, ["ip", "-o", "link"]), capture_output=True, text=True, check=True, timeout=9)
    return said.stdout


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_enter_gives_a_shell_that_reaches_nodes_by_name(guarded: Bench) -> None:
    hosts = Path("/etc/hosts").read_text()
    shell = Shell(guarded, ["bash", "--norc", "-i"])
    shell.read_until("lab$ ")
    shell.say("exec 3<>/dev/tcp/db-node/80; cat <&3; exec 4<>/dev/tcp/db-node.example.org/22; cat <&4; echo")
    shell.read_until("hellohello")
    shell.say("ip -br link; ip route | wc -l")
    said = shell.read_until("2\r\n")
    assert "internal@" in said
    assert "public@" in said
    shell.say("exit 7")
    assert shell.wait() == 7
    assert Path("/etc/hosts").read_text() == hosts
    eventually(lambda: "lbe" not in ports(guarded))


def test_enter_hands_ctrl_c_to_the_shell(guarded: Bench) -> None:
    shell = Shell(guarded, ["bash", "--norc", "-i"])
    shell.read_until("lab$ ")
    shell.say("echo begin; sleep 600")
    shell.read_until("begin\r\n")
    time.sleep(0.3)
    os.write(shell.terminal, b"\x03")
    shell.read_until("lab$ ")
    shell.say("exit $((40 + 2))")
    assert shell.wait() == 42


def test_what_enter_made_is_gone_when_labctl_is_killed(guarded: Bench) -> None:
    shell = Shell(guarded, ["bash", "--norc", "-i"])
    shell.read_until("lab$ ")
    shell.say("nohup sleep 4242 >/dev/null 2>&1 & echo started")
    shell.read_until("started\r\n")
    assert "lbe" in ports(guarded)
    os.kill(shell.pid, signal.SIGKILL)
    shell.wait()
    eventually(lambda: "lbe" not in ports(guarded))
    assert not any(b"4242" in path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline"))


def test_enter_says_which_bridge_is_missing(bench: Bench) -> None:
    plug = Plug(name="internal", bridge="labnone", address="10.81.1.250", prefix=24)
    with pytest.raises(ProcessError):
        enter(["true"], base=bench.host, plugs=[plug], hosts="", env=dict(os.environ))
    eventually(lambda: "lbe" not in ports(bench))


@pytest.mark.parametrize(
    "plug",
    [
        Plug(name="internal up\nlink del lo", bridge="laba", address="10.81.1.9", prefix=24),
        Plug(name="internal", bridge="laba master x", address="10.81.1.9", prefix=24),
        Plug(name="internal", bridge="laba", address="10.81.1.9; reboot", prefix=24),
        Plug(name="a-name-that-is-too-long", bridge="laba", address="10.81.1.9", prefix=24),
    ],
)
def test_enter_refuses_values_that_cannot_be_right(plug: Plug) -> None:
    with pytest.raises(InputError):
        enter(["true"], base=None, plugs=[plug], hosts="", env={})
