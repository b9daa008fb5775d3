"""Private hosts: what `up`, `down` and `status` promise, on the real thing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import libvirt
import pytest

from labctl.errors import InputError, RefusedError
from labctl.host import launch, private, processes
from labctl.host.private import PrivateHost, State

pytestmark = pytest.mark.root

DOMAIN = """
<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices><memballoon model='none'/></devices>
</domain>"""


def eventually(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def start_domain(host: PrivateHost, name: str) -> None:
    link = libvirt.open(host.uri)
    try:
        link.defineXML(DOMAIN.format(name=name)).create()
    finally:
        link.close()


def up_in_a_process(name: str, root: Path) -> subprocess.Popen[str]:
    code = (
        "import sys, pathlib; from labctl.host import private;"
        "print(private.up(sys.argv[1], pathlib.Path(sys.argv[2])).namespace.process.pid)"
    )
    return subprocess.Popen([sys.executable, "-c", code, name, str(root)], stdout=subprocess.PIPE, text=True)


def inits(folder: Path) -> list[int]:
    """Every process that is process 1 of the state folder's private host."""
    return [
        pid
        for pid in processes.every()
        if processes.environment(pid).get("LABCTL_HOST") == str(folder) and processes.is_init(pid)
    ]


def started_for(folder: Path) -> list[int]:
    """Every living process that was started for the state folder, in whatever namespace."""
    return [pid for pid in processes.every() if processes.environment(pid).get("LABCTL_HOST") == str(folder)]


def machine() -> dict[str, str]:
    """What the root namespace shows: devices, routes, rules, mounts."""

    def said(*argv: str) -> str:
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20).stdout

    devices = sorted(device["ifname"] for device in json.loads(said("ip", "-json", "link")))
    return {
        "devices": " ".join(devices),
        "routes": said("ip", "route", "show", "table", "all"),
        "rules": said("ip", "rule"),
        "firewall": said("nft", "list", "ruleset"),
        "mounts": Path("/proc/self/mounts").read_text(),
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
    }


def test_up_gives_a_libvirt_that_starts_guests(private_host: PrivateHost) -> None:
    link = libvirt.open(private_host.uri)
    try:
        domain = link.defineXML(DOMAIN.format(name="first"))
        domain.create()
        assert domain.isActive()
        domain.destroy()
        domain.undefine()
    finally:
        link.close()


def test_up_twice_gives_the_same_host(private_host: PrivateHost) -> None:
    again = private.up(private_host.name, private_host.folder.parent)
    assert again == private_host


def test_up_at_once_from_several_runs_gives_one_host(hosts_root: Path) -> None:
    runs = [up_in_a_process("crowd", hosts_root) for _ in range(4)]
    answers = [run.communicate(timeout=120)[0].strip() for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0, 0]
    assert set(answers) == {str(pid) for pid in inits(hosts_root / "crowd")}


def test_two_hosts_know_nothing_of_each_other(hosts_root: Path) -> None:
    one, two = private.up("one", hosts_root), private.up("two", hosts_root)
    start_domain(one, "guest")
    assert private.status("one", hosts_root).guests == ("guest",)
    assert private.status("two", hosts_root).guests == ()
    assert one.namespace != two.namespace
    start_domain(two, "guest")
    private.down("one", hosts_root, force=True)
    assert private.status("two", hosts_root).guests == ("guest",)


def test_the_machine_looks_the_same_while_a_host_runs_and_after_it(hosts_root: Path) -> None:
    before = machine()
    host = private.up("quiet", hosts_root)
    link = libvirt.open(host.uri)
    network = link.networkDefineXML(
        "<network><name>n</name><forward mode='nat'/><bridge name='labquiet'/>"
        "<ip address='10.77.9.1' netmask='255.255.255.0'><dhcp><range start='10.77.9.2' end='10.77.9.9'/></dhcp></ip>"
        "</network>"
    )
    network.create()
    link.close()
    assert machine() == before
    private.down("quiet", hosts_root, force=True, purge=True)
    assert machine() == before
    assert not hosts_root.exists()
    assert started_for(hosts_root / "quiet") == []
    assert not Path(host.uri.partition("socket=")[2]).parent.is_symlink()


def test_up_finishes_what_a_killed_up_began(hosts_root: Path) -> None:
    folder = hosts_root / "killed"
    for moment in range(8):
        run = up_in_a_process("killed", hosts_root)
        if moment % 4 < 2:  # while it prepares and starts the daemons
            eventually(folder.exists, seconds=30)
            time.sleep(0.02 * moment)
        else:  # from before its first step on
            time.sleep(0.1 + 0.03 * moment)
        run.send_signal(signal.SIGKILL)
        run.wait()
        host = private.up("killed", hosts_root)
        assert inits(folder) == [host.namespace.process.pid]
        private.down("killed", hosts_root, purge=True)
        assert started_for(folder) == []
        assert not folder.exists()


def test_up_after_a_killed_down_gives_a_host_that_answers(hosts_root: Path) -> None:
    first = private.up("half", hosts_root)
    launch.mark_stopping(first.folder)  # all that a down does before it is killed
    assert private.status("half", hosts_root).state is State.STOPPING
    second = private.up("half", hosts_root)
    assert second.namespace != first.namespace
    assert inits(second.folder) == [second.namespace.process.pid]


def test_up_after_a_reboot_leaves_whoever_has_the_old_number_alone(hosts_root: Path) -> None:
    first = private.up("rebooted", hosts_root)
    start_domain(first, "guest")
    os.kill(first.namespace.process.pid, signal.SIGKILL)
    eventually(lambda: not first.namespace.process.alive)
    with subprocess.Popen(["sleep", "60"], env={"LABCTL_HOST": "another"}) as stranger:
        (first.folder / "run/init.pid").write_text(str(stranger.pid))
        assert private.status("rebooted", hosts_root).state is State.DOWN
        second = private.up("rebooted", hosts_root)
        assert stranger.poll() is None
        stranger.kill()
    link = libvirt.open(second.uri)
    assert link.lookupByName("guest").isActive() == 0  # its definition is back, switched off
    link.close()


def test_a_libvirtd_that_dies_comes_back_and_finds_its_guests(hosts_root: Path) -> None:
    host = private.up("phoenix", hosts_root)
    start_domain(host, "guest")
    own = processes.namespace_of(host.namespace.process.pid, "pid")
    daemon = next(
        pid
        for pid in processes.every()
        if processes.namespace_of(pid, "pid") == own and processes.arguments(pid)[:1] == ("libvirtd",)
    )
    os.kill(daemon, signal.SIGKILL)
    assert private.up("phoenix", hosts_root) == host
    link = libvirt.open(host.uri)
    assert link.lookupByName("guest").isActive() == 1
    link.close()


def test_down_refuses_to_cut_the_power_of_guests(hosts_root: Path) -> None:
    host = private.up("busy", hosts_root)
    start_domain(host, "lab-node")
    for purge in (False, True):
        with pytest.raises(RefusedError) as refused:
            private.down("busy", hosts_root, purge=purge)
        assert "lab-node" in refused.value.details
    assert private.status("busy", hosts_root).guests == ("lab-node",)


def test_down_keeps_disks_and_definitions_for_the_next_up(hosts_root: Path) -> None:
    host = private.up("kept", hosts_root)
    start_domain(host, "lab-node")
    disk = host.folder / "lib/images/disk.qcow2"
    disk.write_bytes(b"precious")
    private.down("kept", hosts_root, force=True)
    assert private.status("kept", hosts_root).state is State.DOWN
    assert private.status("kept", hosts_root).labs
    again = private.up("kept", hosts_root)
    link = libvirt.open(again.uri)
    assert [domain.name() for domain in link.listAllDomains()] == ["lab-node"]
    link.close()
    assert disk.read_bytes() == b"precious"


def test_down_of_what_is_not_there_is_no_error(hosts_root: Path) -> None:
    private.down("nobody", hosts_root, purge=True)
    assert private.status("nobody", hosts_root).state is State.ABSENT


def test_purge_leaves_files_that_are_not_labctls(hosts_root: Path) -> None:
    host = private.up("shared", hosts_root)
    own = host.folder / "notes.txt"
    own.write_text("mine")
    with pytest.raises(RefusedError, match="not labctl's"):
        private.down("shared", hosts_root, purge=True)
    assert own.read_text() == "mine"


def test_a_deep_state_folder_works(hosts_root: Path) -> None:
    deep = hosts_root.joinpath(*["a-folder-with-a-long-name"] * 8)
    host = private.up("deep", deep)
    try:
        link = libvirt.open(host.uri)
        assert link.getType() == "QEMU"
        link.close()
    finally:
        private.down("deep", deep, purge=True)


def test_a_host_outlives_who_started_it(hosts_root: Path) -> None:
    run = up_in_a_process("orphan", hosts_root)
    pid = int(run.communicate(timeout=120)[0])
    assert os.getsid(pid) != os.getsid(0)
    opened = {str(descriptor.readlink()) for descriptor in Path(f"/proc/{pid}/fd").iterdir()}
    assert opened == {"/dev/null", str(hosts_root / "orphan/log/start.log")}
    assert private.status("orphan", hosts_root).state is State.UP


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", "-x", "x" * 41, "ä", "a b", "x\n"])
def test_a_name_cannot_lead_out_of_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        private.status(name, tmp_path)
