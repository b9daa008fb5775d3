"""A domain of ours under KVM, as far as its firmware and 16 bits: started, saved, forked under another name, removed.

More cannot be asked of every machine: a /dev/kvm without vmx or svm lets that much run, and hangs 64-bit kernels.
"""

from __future__ import annotations

import io
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from uuid import UUID

import pytest
from netaddr import IPNetwork

from labctl.host import facts, private
from labctl.hypervisor import Hypervisor, State
from labctl.hypervisor.memory import MOST, Head
from labctl.plan.lab import plan
from labctl.plan.model import Identity, LabPlan, NodePlan
from labctl.render import fork, xml
from labctl.render.xml import Machine
from labctl.spec import topology
from labctl.spec.host import POOL_PATH
from tests.integration.lab_host import output


def _obstacle() -> str:
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError as exc:
        return f"/dev/kvm does not open: {exc.strerror}"
    return ""


pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(_obstacle()), reason=_obstacle())]

# What the firmware loads and jumps to: counts the timer's ticks in a word of memory, from a number that tells it is us.
#   xor ax, ax; mov ds, ax; mov dword [0x7e00], 0xc0de0000
#   again: inc dword [0x7e00]; sti; hlt; jmp again
_COUNTER, _START = 0x7E00, 0xC0DE0000
_BOOT = bytes.fromhex("31c0 8ed8 66c706007e0000dec0 66ff06007e fb f4 ebf7").ljust(510, b"\0") + b"\x55\xaa"


@pytest.fixture
def hypervisor(hosts_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hypervisor]:
    """Connect to a private host that shows its guests the machine's /dev/kvm, whatever the processor is."""
    monkeypatch.setattr(facts, "kvm_usable", lambda: True)
    host = private.up(f"kvm-{os.getpid()}", hosts_root)
    with Hypervisor(host.uri) as connection:
        yield connection


def test_a_domain_under_kvm_starts_is_saved_and_goes_on_as_another(hypervisor: Hypervisor, tmp_path: Path) -> None:
    hypervisor.create_pool(xml.pool_xml("labs", str(POOL_PATH)))
    # Seen: a /dev/kvm without vmx or svm that names this feature of an AMD processor, and refuses its register.
    lacks = () if facts.kvm().flag else ("arch-capabilities",)
    machine = Machine(virt="kvm", volumes=PurePosixPath(POOL_PATH), lacks=lacks)
    red, blue = _plan("red", 1), _plan("blue", 2)

    with _defined(hypervisor, red, machine, tmp_path) as node:
        hypervisor.start_domain(node.uuid)
        _until_counting(hypervisor, node, above=_START)
        hypervisor.suspend_domain(node.uuid)
        seen = _counter(hypervisor, node)
        saved = hypervisor.create_volume("labs", xml.volume_xml("memory", "raw", 0))
        hypervisor.save_domain(node.uuid, saved.path)

    with _defined(hypervisor, blue, machine, tmp_path) as node:
        head = Head.parse(hypervisor.download("labs", "memory", MOST))
        own = xml.domain_xml(node, blue, machine=machine)
        content = head.of(fork.document(head.document, own)).encode()
        hypervisor.upload("labs", "memory", io.BytesIO(content), len(content))
        hypervisor.restore_domain(saved.path)
        assert _counter(hypervisor, node) == seen
        hypervisor.resume_domain(node.uuid)
        _until_counting(hypervisor, node, above=seen)
        found = hypervisor.domains()[node.domain]
        assert (found.virt, found.uuid, found.state) == ("kvm", node.uuid, State.RUNNING)
    assert hypervisor.domains() == {}


def test_the_hosts_own_report_decides_whether_kvm_is_trusted(hypervisor: Hypervisor) -> None:
    can = facts.kvm().flag
    assert ("neither vmx nor svm" in hypervisor.kvm_obstacle()) == (not can)


def _plan(team: str, number: int) -> LabPlan:
    mgmt = IPNetwork(f"192.168.{127 + number}.0/24")
    identity = Identity(team=team, lab=UUID(int=number, version=4), owner=UUID(int=9, version=4), mgmt=mgmt)
    return plan(topology.load("mini"), identity)


@contextmanager
def _defined(hypervisor: Hypervisor, lab: LabPlan, machine: Machine, folder: Path) -> Iterator[NodePlan]:
    """Define the first node of a lab, with the lab's networks and a disk that counts; all of it is gone afterwards."""
    node = lab.nodes[0]
    for network in lab.networks:
        hypervisor.create_network(xml.network_xml(network, lab))
    raw, disk = folder / "boot.raw", folder / "boot.qcow2"
    raw.write_bytes(_BOOT.ljust(1 << 20, b"\0"))
    output(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(disk)])
    for name, content in ((node.disks[0].volume, disk.read_bytes()), (node.seed, b"\0" * 65536)):
        hypervisor.create_volume("labs", xml.volume_xml(name, "raw", len(content)))
        hypervisor.upload("labs", name, io.BytesIO(content), len(content))
    for other in node.disks[1:]:
        hypervisor.create_volume("labs", xml.disk_xml(other, backing=None))
    hypervisor.define_domain(xml.domain_xml(node, lab, machine=machine))
    try:
        yield node
    finally:
        hypervisor.remove_domain(node.uuid)
        for network in lab.networks:
            hypervisor.remove_network(network.uuid)


def _until_counting(hypervisor: Hypervisor, node: NodePlan, *, above: int) -> None:
    deadline = time.monotonic() + 60
    while not above < _counter(hypervisor, node) < _START + 0x10000:
        assert time.monotonic() < deadline, f"{_counter(hypervisor, node):#x} is not above {above:#x}"
        time.sleep(0.2)


def _counter(hypervisor: Hypervisor, node: NodePlan) -> int:
    """Read the counter in the guest's memory through QEMU's monitor."""
    ask = f"xp /4bx {_COUNTER:#x}"
    said = output(["virsh", "--connect", hypervisor.uri, "qemu-monitor-command", node.domain, "--hmp", ask])
    numbers = bytes(int(word, 16) for word in said.partition(":")[2].split())
    (value,) = struct.unpack("<I", numbers)
    return int(value)
