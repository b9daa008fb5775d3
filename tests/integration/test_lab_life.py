"""The life of labs on real libvirt with real guests, through the command line alone.

Tests of this file run in order on the same two labs, for an emulated boot is expensive.
"""

from __future__ import annotations

import os
import pty
import re
import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labctl.lab import inside, secrets
from labctl.remote.ssh import SshTransport
from labctl.site import site
from labctl.state import Home, records
from tests.integration.lab_host import LABCTL, LabHost, root_namespace

pytestmark = [pytest.mark.root, pytest.mark.slow]

TEAMS = ("red", "blue")


@pytest.fixture(scope="module")
def untouched() -> dict[str, str]:
    """Return this machine's own networks as they were before."""
    return root_namespace()


@pytest.fixture(scope="module")
def host(set_host: LabHost, untouched: dict[str, str]) -> LabHost:
    """Return a host with a golden set, which labs start from."""
    return set_host


@pytest.fixture(scope="module")
def before(host: LabHost) -> dict[str, Any]:
    """Return the inventory before the first lab."""
    return host.inventory()


@pytest.fixture(scope="module")
def labs(host: LabHost, before: dict[str, Any]) -> Iterator[LabHost]:
    """Create two labs of the same topology, side by side."""
    try:
        host.labctl("create", "red,blue", "--topology", "mini")
        yield host
    finally:
        for team in TEAMS:
            host.labctl("destroy", team, check=False)


def test_status_agrees_with_virsh(labs: LabHost) -> None:
    status = labs.document("status", "red")
    assert [node["name"] for node in status["nodes"]] == ["node-1", "node-2"]
    assert all(node["ready"] and node["state"] == "running" for node in status["nodes"])
    assert [node["addresses"]["internal"] for node in status["nodes"]] == ["10.0.0.3", "10.0.0.4"]
    assert {node["domain"] for node in status["nodes"]} <= set(labs.virsh("list", "--name").split())
    assert {"red-mgmt", "red-internal", "red-public"} <= set(labs.virsh("net-list", "--name").split())
    assert "red-node-1.qcow2" in labs.virsh("vol-list", "labctl")


def test_every_lab_has_a_subnet_of_its_own(labs: LabHost) -> None:
    subnets = [lab["mgmt"] for lab in labs.document("list")]
    assert len(set(subnets)) == 2


def test_nodes_answer_by_private_and_public_name(labs: LabHost) -> None:
    for name, address in (("node-2", "10.0.0.4"), ("node-2.example.org", "172.16.0.4")):
        assert f"({address})" in labs.ssh("red", "node-1", f"ping -c1 -W5 {name}")


def test_the_console_is_a_shell_that_is_left_with_a_key(labs: LabHost) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(LABCTL, [str(LABCTL), "console", "-t", "red", "node-1"], labs.env)
    try:
        read_until(terminal, "Escape character is", again="")
        read_until(terminal, "root@node-1", again="\r")
        os.write(terminal, b"echo $((6 * 7)) is the answer\r")
        read_until(terminal, "42 is the answer", again="")
        os.write(terminal, b"\x1d")  # Ctrl-]
        deadline = time.monotonic() + 30
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            assert time.monotonic() < deadline
            read_some(terminal)
        assert os.waitstatus_to_exitcode(ended[1]) == 0
    finally:
        os.close(terminal)


def read_until(terminal: int, wanted: str, *, again: str) -> None:
    """Read what a terminal shows until the text comes; type `again` every few seconds."""
    said, deadline = "", time.monotonic() + 120
    while wanted not in said:
        assert time.monotonic() < deadline, said
        os.write(terminal, again.encode())
        for _ in range(50):
            said += read_some(terminal)
            if wanted in said:
                return


def read_some(terminal: int) -> str:
    """Return what a terminal shows within a tenth of a second."""
    if not select.select([terminal], [], [], 0.1)[0]:
        return ""
    try:
        return os.read(terminal, 4096).decode(errors="replace")
    except OSError:  # the other side has closed
        return ""


def test_enter_reaches_the_lab_by_name(labs: LabHost) -> None:
    assert "1 received" in labs.labctl("enter", "blue", "--", "ping", "-c1", "-W5", "node-1.example.org").stdout


def test_programs_dial_names_of_each_lab_from_labctls_own_process(labs: LabHost) -> None:
    """Both labs' node-2 have the same addresses; the pinned host key tells which one answers."""
    home = Home(labs.home)
    for team in TEAMS:
        plan, folder = records.plan_of(records.record_of(home, team)), home.lab(team)
        with site.opened(home, "local", recorded="qemu") as place, inside.opened(home, place, plan) as dialer:
            for name in ("node-2", "node-2.example.org"):
                node = SshTransport.connect(
                    dialer.open(name, 22),
                    name=name,
                    key=secrets.login_key(folder),
                    host_key=secrets.host_key(folder, "node-2"),
                )
                with node:
                    assert node.run("hostname", timeout=60).stdout.strip() == "node-2"


def test_two_shells_in_a_lab_have_addresses_of_their_own(labs: LabHost, tmp_path: Path) -> None:
    mine, over = tmp_path / "mine", tmp_path / "over"
    wait = f"ip -brief address > {mine}.part && mv {mine}.part {mine}; until [ -e {over} ]; do sleep 0.2; done"
    first = labs.popen("enter", "red", "--", "timeout", "60", "sh", "-c", wait)
    try:
        while not mine.exists():
            assert first.poll() is None
            time.sleep(0.1)
        second = labs.labctl("enter", "red", "--", "ip", "-brief", "address").stdout
    finally:
        over.touch()
    assert first.wait(timeout=60) == 0
    inner = re.compile(r"10\.0\.0\.\d+/24")
    assert inner.findall(mine.read_text()) == ["10.0.0.254/24"]
    assert inner.findall(second) == ["10.0.0.253/24"]


def test_the_same_inner_address_is_another_node_in_each_lab(labs: LabHost) -> None:
    ids = {team: labs.ssh(team, "node-1", "ssh-keyscan -t ed25519 10.0.0.4 2>/dev/null") for team in TEAMS}
    assert ids["red"] != ids["blue"]
    assert all("ssh-ed25519" in key for key in ids.values())


def test_a_lab_reaches_neither_another_nor_the_host_beyond_dhcp_and_dns(labs: LabHost) -> None:
    """Scan with a positive control: the same probe finds what is allowed."""
    own = {team: labs.document("status", team)["nodes"] for team in TEAMS}
    neighbour, stranger = (own[team][1]["addresses"]["mgmt"] for team in ("red", "blue"))
    gateway, other_gateway = (re.sub(r"\d+$", "1", address) for address in (neighbour, stranger))
    probe = "timeout 5 bash -c 'exec 3<>/dev/tcp/{}/{}' 2>/dev/null && echo open || echo closed"

    def scan(address: str, port: int) -> str:
        return labs.ssh("red", "node-1", probe.format(address, port)).strip()

    assert scan(neighbour, 22) == "open"  # the control: the probe works, and a lab is one network
    assert scan(gateway, 53) == "open"
    assert scan(stranger, 22) == "closed"
    assert scan(gateway, 22) == "closed"
    assert scan(other_gateway, 53) == "closed"
    assert "1 received" not in labs.ssh("red", "node-1", f"ping -c1 -W3 {other_gateway}; true")


def test_create_again_changes_nothing_and_says_so(labs: LabHost) -> None:
    before = labs.inventory()
    said = labs.labctl("create", "red", "--topology", "mini").stdout
    assert "nothing to do" in said
    assert labs.inventory() == before


def test_create_of_a_changed_topology_says_what_differs(labs: LabHost, tmp_path: Path) -> None:
    changed = tmp_path / "changed.yaml"
    changed.write_text(labs.labctl("init", "mini").stdout.replace("512 MiB", "768 MiB"))
    done = labs.labctl("create", "red", "--topology", str(changed), check=False)
    assert done.returncode == 3
    assert "768 MiB" in done.stderr


def test_the_root_namespace_is_as_it_was(labs: LabHost, untouched: dict[str, str]) -> None:
    assert root_namespace() == untouched


def test_reset_gives_a_fresh_node_with_the_same_identity_and_disturbs_no_other(labs: LabHost) -> None:
    look = "cat /proc/sys/kernel/random/boot_id"
    other = labs.ssh("red", "node-1", look)
    machine = labs.ssh("red", "node-2", "touch /root/ruined; cat /etc/machine-id")
    address = labs.document("status", "red")["nodes"][1]["addresses"]

    labs.labctl("reset", "node-2", "-t", "red")

    assert labs.ssh("red", "node-1", look) == other
    assert labs.document("status", "red")["nodes"][1]["addresses"] == address
    assert "ruined" not in labs.ssh("red", "node-2", "ls /root")
    assert labs.ssh("red", "node-2", "cat /etc/machine-id") != machine


def test_stop_and_start_bring_the_same_lab_back(labs: LabHost) -> None:
    labs.ssh("blue", "node-1", "touch /root/kept; sync")
    labs.labctl("stop", "blue")
    assert [node["state"] for node in labs.document("status", "blue")["nodes"]] == ["shut off"] * 2
    assert "labctl start blue" in labs.labctl("create", "blue").stdout
    labs.labctl("start", "blue")
    assert "kept" in labs.ssh("blue", "node-1", "ls /root")


def test_an_image_in_use_cannot_be_removed(labs: LabHost) -> None:
    done = labs.labctl("image", "remove", "debian-13", check=False)
    assert done.returncode == 3
    assert "golden-origin-" in done.stderr  # which the labs stand on


def test_destroy_leaves_nothing(labs: LabHost, before: dict[str, Any]) -> None:
    for team in TEAMS:
        labs.labctl("destroy", team)
    assert labs.inventory() == before
