"""What one lab's saved domain becomes in another lab."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from labctl.errors import HypervisorError
from labctl.plan.lab import plan
from labctl.plan.model import Identity, LabPlan
from labctl.render import fork, identity, xml
from labctl.render.seed import SeedKeys
from labctl.render.xml import Machine
from labctl.spec import topology

MACHINE = Machine(virt="qemu", volumes=PurePosixPath("/srv/labs"), cpu="qemu64")


@pytest.fixture
def other(make_identity: Callable[..., Identity]) -> LabPlan:
    return plan(topology.load("gridka"), make_identity("team02", lab=2, mgmt="192.168.129.0/24"))


def document(lab: LabPlan, name: str) -> str:
    return xml.domain_xml(lab.node(name), lab, machine=MACHINE)


def saved(lab: LabPlan, name: str) -> str:
    """Return a node's document with what libvirt adds to it while the domain runs."""
    root = ET.fromstring(document(lab, name))
    root.set("id", "7")
    devices = root.find("devices")
    assert devices is not None
    ET.SubElement(devices, "emulator").text = "/usr/bin/qemu-system-x86_64"
    for kind in ("pci", "virtio-serial"):
        ET.SubElement(devices, "controller", type=kind, index="0")
    ET.SubElement(devices, "input", type="mouse", bus="ps2")
    ET.SubElement(ET.SubElement(root, "resource"), "partition").text = "/machine"
    for disk in root.findall("devices/disk"):
        backing = ET.SubElement(disk, "backingStore", type="file")
        ET.SubElement(backing, "source", file="/srv/labs/golden-of-another.qcow2")
        ET.SubElement(disk, "address", type="pci", bus="0x00", slot="0x09")
    for number, card in enumerate(root.findall("devices/interface")):
        ET.SubElement(card, "target", dev=f"vnet{number}")
        ET.SubElement(card, "alias", name=f"net{number}")
    for device in root.findall("devices/serial") + root.findall("devices/channel"):
        ET.SubElement(device, "source", path="/dev/pts/3")
    ET.SubElement(root, "seclabel", type="dynamic", model="dac")
    return ET.tostring(root, encoding="unicode")


def test_a_fork_is_the_other_lab_on_the_same_devices(gridka: LabPlan, other: LabPlan) -> None:
    text = fork.document(saved(gridka, "volume-node"), document(other, "volume-node"))
    root, own = ET.fromstring(text), ET.fromstring(document(other, "volume-node"))
    for name in ("name", "uuid", "genid", "title", "description"):
        assert root.findtext(name) == own.findtext(name)
        assert len(root.findall(name)) == 1
    assert ET.tostring(root.find("metadata")) == ET.tostring(own.find("metadata"))  # type: ignore[arg-type]
    assert [source.attrib for source in root.findall("devices/disk/source")] == [
        source.attrib for source in own.findall("devices/disk/source")
    ]
    assert {source.get("network") for source in root.findall("devices/interface/source")} == {
        "team02-mgmt",
        "team02-internal",
        "team02-public",
    }
    assert root.find("devices/disk/address[@slot='0x09']") is not None
    assert [mac.get("address") for mac in root.findall("devices/interface/mac")] == [
        mac.get("address") for mac in own.findall("devices/interface/mac")
    ]


def test_the_translation_cache_of_a_fork_is_the_nodes_own(gridka: LabPlan, other: LabPlan) -> None:
    before = saved(gridka, "volume-node")
    text = fork.document(before, document(replace(other, stage="installed"), "volume-node"))
    assert ET.fromstring(before).findtext("features/tcg/tb-cache") == "96"
    assert ET.fromstring(text).findtext("features/tcg/tb-cache") == "512"


def test_nothing_in_a_fork_names_the_lab_that_was_saved(gridka: LabPlan, other: LabPlan) -> None:
    text = fork.document(saved(gridka, "db-node"), document(other, "db-node"))
    for trace in ("team01", str(gridka.identity.lab), "golden-of-another", "/dev/pts", "vnet", "seclabel", 'id="7"'):
        assert trace not in text


def test_memory_of_another_machine_is_refused(gridka: LabPlan, other: LabPlan) -> None:
    with pytest.raises(HypervisorError, match="another machine"):
        fork.document(saved(gridka, "db-node"), document(other, "volume-node"))


IGNORED = {
    "another emulator": ("devices", "<emulator>/tmp/evil</emulator>"),
    "a random source": ("devices/rng", '<backend model="random">/dev/sda</backend>'),
    "a random source in the network": ("devices/rng", '<backend model="egd" type="tcp"><source host="a"/></backend>'),
    "a disk's encryption": ("devices/disk", "<encryption format='luks'/>"),
    "a card's script": ("devices/interface", "<script path='evil'/>"),
    "a label": (".", "<seclabel type='none'/>"),
    "a screen for everybody": ("devices/graphics", "<listen type='address' address='0.0.0.0'/>"),
    "timers": ("clock", "<timer name='hpet' present='yes'/>"),
}


@pytest.mark.parametrize(("place", "more"), IGNORED.values(), ids=IGNORED)
def test_what_a_node_has_itself_is_taken_from_the_node(gridka: LabPlan, other: LabPlan, place: str, more: str) -> None:
    root = ET.fromstring(saved(gridka, "db-node"))
    element = root.find(place)
    assert element is not None
    element.append(ET.fromstring(more))
    own = document(other, "db-node")
    clean = fork.document(saved(gridka, "db-node"), own)
    assert fork.document(ET.tostring(root, encoding="unicode"), own) == clean


def test_a_screen_for_everybody_is_the_nodes_own_again(gridka: LabPlan, other: LabPlan) -> None:
    root = ET.fromstring(saved(gridka, "db-node"))
    for screen in root.findall("devices/graphics"):
        screen.attrib.update(listen="0.0.0.0", port="5900", websocket="5700", passwd="")
    text = fork.document(ET.tostring(root, encoding="unicode"), document(other, "db-node"))
    (screen,) = ET.fromstring(text).findall("devices/graphics")
    assert screen.attrib == {"type": "vnc", "port": "-1", "autoport": "yes"}
    assert [each.attrib for each in screen] == [{"type": "address", "address": "127.0.0.1"}]


CARD = "<interface type='network'><mac address='{}'/><source network='team09-mgmt'/></interface>"
REFUSED = {
    "arguments for QEMU": (
        ".",
        '<q:commandline xmlns:q="http://libvirt.org/schemas/domain/qemu/1.0"><q:arg value="-x"/></q:commandline>',
        "commandline",
    ),
    "a folder of the host": ("devices", '<filesystem type="mount"><source dir="/root"/></filesystem>', "filesystem"),
    "a device of the host": ("devices", '<hostdev mode="subsystem" type="usb"/>', "hostdev"),
    "a file to write": ("devices", '<serial type="file"><source path="/etc/passwd"/></serial>', "serial"),
    "a socket": ("devices", '<channel type="spicevmc"/>', "channel"),
    "another disk": ("devices", "<disk type='file'><source file='/x'/><target dev='vdz'/></disk>", "disk vdz"),
    "a disk twice": ("devices", "<disk type='file'><source file='/x'/><target dev='vda'/></disk>", "disk vda"),
    "another card": ("devices", CARD.format("52:54:00:00:00:01"), "52:54:00:00:00:01"),
    "a card twice": ("devices", CARD.format("{mac}"), "interface"),
    "another kernel": ("os", "<kernel>/etc/shadow</kernel>", "kernel"),
    "other firmware": ("os", "<loader>/etc/shadow</loader>", "loader"),
    "memory of the host": (".", "<memoryBacking><source type='file'/></memoryBacking>", "memoryBacking"),
    "threads": (".", "<iothreads>64</iothreads>", "iothreads"),
    "processors of the host": (".", "<cputune><shares>1</shares></cputune>", "cputune"),
    "a wide feature": ("features", "<smm state='on'/>", "smm"),
    "memory by NUMA": ("cpu", "<numa><cell memory='99'/></numa>", "numa"),
    "a controller's driver": ("devices", "<controller type='pci' index='9' model='vfio'/>", "model=vfio"),
    "a device of USB": ("devices", "<input type='mouse' bus='usb'/>", "input mouse"),
    "an event device": ("devices", "<input type='evdev'><source dev='/dev/x'/></input>", "source"),
    "sound": ("devices", "<audio id='1' type='file' path='/etc/x'/>", "path"),
    "an address that is none": ("devices/disk", "<address type='pci' bus='../x'/>", "bus"),
}


@pytest.mark.parametrize(("place", "more", "named"), REFUSED.values(), ids=REFUSED)
def test_a_set_from_anywhere_gets_no_more_of_the_host_than_a_node(
    gridka: LabPlan, other: LabPlan, place: str, more: str, named: str
) -> None:
    root = ET.fromstring(saved(gridka, "db-node"))
    element = root.find(place)
    assert element is not None
    element.append(ET.fromstring(more.replace("{mac}", gridka.node("db-node").nics[0].mac)))
    with pytest.raises(HypervisorError, match="another machine") as caught:
        fork.document(ET.tostring(root, encoding="unicode"), document(other, "db-node"))
    assert named in caught.value.details


@pytest.mark.parametrize(
    ("place", "attribute", "value"),
    [
        ("memory", None, "99999999"),
        ("memory", None, "-1"),
        ("vcpu", None, "64"),
        ("vcpu", "current", "64"),
        ("os/type", "machine", "microvm"),
        ("os/type", "machine", "../x"),
        ("cpu", "mode", "host-passthrough /x"),
        ("cpu/model", None, "qemu64,+x"),
    ],
)
def test_another_size_or_kind_of_machine_is_refused(
    gridka: LabPlan, other: LabPlan, place: str, attribute: str | None, value: str
) -> None:
    root = ET.fromstring(saved(gridka, "db-node"))
    element = root.find(place)
    assert element is not None
    if attribute is None:
        element.text = value
    else:
        element.set(attribute, value)
    with pytest.raises(HypervisorError, match="another machine"):
        fork.document(ET.tostring(root, encoding="unicode"), document(other, "db-node"))


def test_the_machines_version_and_the_processor_are_those_of_the_memory(gridka: LabPlan, other: LabPlan) -> None:
    text = saved(gridka, "db-node").replace('machine="pc"', 'machine="pc-i440fx-7.2"').replace("qemu64", "qemu32")
    root = ET.fromstring(fork.document(text, document(other, "db-node")))
    assert root.find("os/type[@machine='pc-i440fx-7.2']") is not None
    assert root.findtext("cpu/model") == "qemu32"


@pytest.mark.parametrize("sound", ["", "<cookie><cpu mode='custom'><model>qemu64</model></cpu><slirpHelper/></cookie>"])
def test_what_libvirt_noted_of_the_processor_is_kept(sound: str) -> None:
    assert fork.cookie(sound) == sound


@pytest.mark.parametrize(
    "strange", ["<cookie", "<x/>", "<cookie><disk/></cookie>", "<cookie><cpu><numa/></cpu></cookie>"]
)
def test_a_note_of_anything_else_is_refused(strange: str) -> None:
    with pytest.raises(HypervisorError, match="another machine"):
        fork.cookie(strange)


def played(script: str, root: Path, *, sshd: str) -> subprocess.CompletedProcess[str]:
    """Run a node's script in a folder instead of the node.

    Args:
        sshd: what its SSH server does, as a shell line, when it is told anything.
    """
    tools = {"date": f'echo "$@" >{root}/set', "ip": "", "kill": f'echo "$*" >{root}/told; {sshd}'}
    for tool, does in tools.items():
        (root / tool).write_text(f"#!/bin/sh\n{does}\n")
        (root / tool).chmod(0o755)
    for folder in ("root", "etc/ssh", "run"):  # the folder /root/.ssh is made
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "run/sshd.pid").write_text("1\n")
    for folder in ("/root", "/etc", "/run"):
        for before in " ><":
            script = script.replace(f"{before}{folder}/", f"{before}{root}{folder}/")
    script = script.replace("kill -HUP", f"{root}/kill -HUP")
    (root / "clock").write_text("1000\n")
    script = script.replace("/sys/class/rtc/rtc0/since_epoch", f"{root}/clock")
    environment = {"PATH": f"{root}:/usr/bin:/bin"}
    return subprocess.run(["sh", "-s"], input=script, env=environment, stderr=subprocess.PIPE, text=True, check=False)


@pytest.mark.parametrize("known", ["of another lab\n", None])
def test_the_identity_script_is_quoted_and_writes_what_it_should(
    gridka: LabPlan, keys: SeedKeys, tmp_path: Path, known: str | None
) -> None:
    node = gridka.node("db-node")
    script = identity.script(node, keys, entropy="abc", alone=False)
    assert identity.CLOCK in script.splitlines()
    assert "ss -" not in script
    assert "ip link set eth0 down; ip link set eth0 up" in script
    others = tmp_path / "etc/ssh/ssh_known_hosts"
    if known is not None:
        others.parent.mkdir(parents=True)
        others.write_text(known)
    done = played(script, tmp_path, sshd=f"echo 1 >{tmp_path}/run/sshd.pid")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "set").read_text() == "-s @1000.5\n"  # as whoever runs the guest's clock has it, when it is read
    assert (tmp_path / "root/.ssh/authorized_keys").read_text().splitlines() == list(keys.authorized)
    private = tmp_path / "etc/ssh/ssh_host_ed25519_key"
    assert private.read_text() == keys.host_private
    assert private.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "etc/ssh/ssh_host_ed25519_key.pub").read_text().strip() == keys.host_public
    if known is None:
        assert not others.exists()  # no role of this node has written it
    else:
        assert others.read_text() == keys.known_hosts
    assert (tmp_path / "etc/machine-id").read_text().strip() == node.machine_id
    assert (tmp_path / "told").read_text() == "-HUP 1\n"


def test_a_restored_node_is_itself_only_when_its_ssh_server_listens_again(
    gridka: LabPlan, keys: SeedKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = tmp_path / "run/sshd.pid"
    script = identity.script(gridka.node("db-node"), keys, entropy="abc", alone=False)
    done = played(script, tmp_path, sshd=f"(sleep 0.3; echo 2 >{pid}) 2>/dev/null &")
    assert (done.returncode, pid.read_text()) == (0, "2\n")
    monkeypatch.setattr(identity, "_LOOKS", 2)
    script = identity.script(gridka.node("db-node"), keys, entropy="abc", alone=False)
    done = played(script, tmp_path, sshd="")
    assert (done.returncode, done.stderr) == (1, "its SSH server does not listen again\n")


def test_a_node_that_comes_back_alone_ends_its_connections_to_the_others(gridka: LabPlan, keys: SeedKeys) -> None:
    script = identity.script(gridka.node("db-node"), keys, entropy="abc", alone=True)
    assert "ss -tHK 'src 10.0.0.3 or src 172.16.0.3' >/dev/null" in script.splitlines()
