"""Golden sets with memory, on real guests: captured, forked, reset, snapshot, moved, damaged, interrupted.

Tests of this file run in order on the same labs, for an emulated boot is expensive.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.lab_host import LabHost, output
from tests.integration.test_lab_accidents import FEW, kill, lasting, shares

pytestmark = [pytest.mark.root, pytest.mark.slow]

SET = "mini-bare"
BOOT = "cat /proc/sys/kernel/random/boot_id"
SERVE = "systemd-run -q python3 -m http.server 8000"
CALL = "systemd-run -q bash -c 'until exec 3<>/dev/tcp/node-2/8000; do sleep 1; done; exec sleep inf'"
CONNECTIONS = "ss -tnH state established 'dport = :8000' | wc -l"
"""Of node-1 to node-2; nothing is said on it."""


@pytest.fixture(scope="module")
def before(set_host: LabHost) -> dict[str, Any]:
    """Return the inventory before anything of this file."""
    return set_host.inventory()


@pytest.fixture(scope="module")
def host(set_host: LabHost, before: dict[str, Any]) -> Iterator[LabHost]:
    """Return a host with a lab to capture, itself a fork, and see that nothing stays on it."""
    try:
        set_host.labctl("create", "red", "--topology", "mini")
        for node in ("node-1", "node-2"):
            set_host.ssh("red", node, "echo red >/root/mark; echo red >/run/mark; sync")
        set_host.ssh("red", "node-2", SERVE)
        set_host.ssh("red", "node-1", f"{CALL}; until [ $({CONNECTIONS}) = 1 ]; do sleep 1; done")
        yield set_host
    finally:
        for team in ("red", "green", "blue"):
            set_host.labctl("destroy", team, check=False)
        set_host.labctl("golden", "remove", SET, check=False)


def volume(host: LabHost, suffix: str) -> str:
    """Return the name of the one volume that ends so."""
    names = [line.split()[0] for line in host.virsh("vol-list", "labctl").splitlines()[2:] if line]
    (found,) = [name for name in names if name.startswith(f"golden-{SET}-") and name.endswith(suffix)]
    return found


def clock_error(host: LabHost, team: str) -> float:
    began = time.time()
    inside = float(host.ssh(team, "node-1", "date +%s.%N"))
    return max(began - inside, inside - time.time(), 0.0)


def test_a_lab_that_is_captured_goes_on(host: LabHost) -> None:
    boot = host.ssh("red", "node-1", BOOT)
    host.labctl("golden", "capture", "red")
    assert host.ssh("red", "node-1", BOOT) == boot
    assert host.ssh("red", "node-1", "cat /run/mark").strip() == "red"
    assert clock_error(host, "red") < 3
    assert all(node["ready"] for node in host.document("status", "red")["nodes"])
    shown = host.document("golden", "show", SET)
    assert set(shown["memory"]) == set(shown["disks"]) == {"node-1", "node-2"}
    host.labctl("golden", "verify", SET)


def test_forks_are_labs_of_their_own_also_one_that_waited(host: LabHost) -> None:
    host.labctl("standby", "1", "--from", SET)
    states = {each["team"]: each for each in host.document("list")}
    assert (states["standby-01"]["standby"], states["standby-01"]["running"]) == (True, 0)
    done = host.labctl("create", "blue,green", "--topology", "mini")
    assert "blue takes standby-01" in done.stdout + done.stderr
    boot = host.ssh("red", "node-1", BOOT)
    facts: dict[str, list[str]] = {"machine-id": [], "host key": [], "random": [], "authorized": [], "mgmt": []}
    for team in ("red", "green", "blue"):
        assert host.ssh(team, "node-1", BOOT) == boot  # all go on from one memory
        assert host.ssh(team, "node-1", "cat /root/mark /run/mark").split() == ["red", "red"]
        assert host.ssh(team, "node-1", "hostname").strip() == "node-1"
        assert clock_error(host, team) < 3
        facts["machine-id"].append(host.ssh(team, "node-1", "cat /etc/machine-id"))
        facts["host key"].append(host.ssh(team, "node-1", "ssh-keyscan -t ed25519 10.0.0.4 2>/dev/null"))
        facts["random"].append(host.ssh(team, "node-1", "head -c 16 /dev/urandom | od -An -tx1"))
        facts["authorized"].append(host.ssh(team, "node-1", "cat /root/.ssh/authorized_keys"))
        facts["mgmt"].append(host.ssh(team, "node-1", "ip -4 -o address show dev eth0 | cut -d' ' -f7"))
        assert "1 received" in host.ssh(team, "node-1", "ping -c1 -W5 node-2.example.org")
        assert host.ssh(team, "node-1", CONNECTIONS).strip() == "1"
    for what, values in facts.items():
        assert len(set(values)) == 3, what
    uuids = {host.virsh("domuuid", f"{name}-node-1") for name in ("red", "green", "standby-01")}
    assert len(uuids) == 3


def test_a_set_that_forks_stand_on_is_not_removed(host: LabHost) -> None:
    done = host.labctl("golden", "remove", SET, check=False)
    assert done.returncode == 3
    assert "green-node-1.qcow2" in done.stderr


def test_a_warm_reset_gives_a_node_back_and_leaves_the_others(host: LabHost) -> None:
    for node in ("node-1", "node-2"):
        host.ssh("green", node, "echo ruined >/root/mark; echo ruined >/run/mark")
    known = host.ssh("green", "node-2", "ssh-keyscan -t ed25519 10.0.0.3 2>/dev/null")
    host.labctl("reset", "node-1", "-t", "green")
    assert host.ssh("green", "node-1", "cat /root/mark /run/mark").split() == ["red", "red"]
    assert host.ssh("green", "node-2", "cat /root/mark /run/mark").split() == ["ruined", "ruined"]
    assert host.ssh("green", "node-2", "ssh-keyscan -t ed25519 10.0.0.3 2>/dev/null") == known
    assert host.ssh("green", "node-1", CONNECTIONS).strip() == "0"  # node-2 went on, and its end with it


def test_a_snapshot_brings_disks_and_memory_back(host: LabHost) -> None:
    host.ssh("green", "node-2", "echo lunch >/run/mark; echo lunch >/root/mark")
    host.labctl("snapshot", "save", "lunch", "-t", "green")
    host.ssh("green", "node-2", "echo dinner >/run/mark; echo dinner >/root/mark; sync")
    assert [each["name"] for each in host.document("snapshot", "list", "-t", "green")] == ["lunch"]
    host.labctl("snapshot", "restore", "lunch", "-t", "green")
    assert host.ssh("green", "node-2", "cat /run/mark /root/mark").split() == ["lunch", "lunch"]
    assert clock_error(host, "green") < 3
    host.labctl("reset", "node-2", "-t", "green")
    assert host.ssh("green", "node-2", "cat /run/mark").strip() == "red"
    host.labctl("snapshot", "remove", "lunch", "-t", "green")
    assert "snapshot-" not in host.virsh("vol-list", "labctl")


def test_a_bundle_moves_a_set(host: LabHost, tmp_path: Path) -> None:
    file = tmp_path / "mini.labctl"
    host.labctl("golden", "export", SET, str(file))
    assert file.stat().st_mode & 0o077 == 0
    for team in ("green", "blue"):
        host.labctl("destroy", team)
    whole = host.inventory()["volumes"]
    host.labctl("golden", "remove", SET)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = tmp_path / "damaged.labctl"
    damaged.write_bytes(content)
    inventory = host.inventory()
    done = host.labctl("golden", "import", str(damaged), check=False)
    assert done.returncode == 2, done.stderr
    assert host.inventory() == inventory
    importing = lasting(host, "golden", "import", str(file))
    for share in shares(FEW):
        host.labctl("golden", "remove", SET, check=False)
        kill(
            host,
            importing * share,
            *("golden", "import", str(file)),
            again=lambda: host.labctl("golden", "remove", SET, check=False),
        )
        if any(each["name"] == SET for each in host.document("golden", "list")):
            host.labctl("golden", "verify", SET)
            host.labctl("golden", "remove", SET)
    host.labctl("golden", "import", str(file))
    assert host.inventory()["volumes"] == whole
    host.labctl("golden", "verify", SET)
    host.labctl("create", "blue", "--from", SET)
    assert host.ssh("blue", "node-1", BOOT) == host.ssh("red", "node-1", BOOT)


def test_killed_captures_forks_and_resets_are_finished_and_leave_nothing(host: LabHost) -> None:
    boot = host.ssh("red", "node-1", BOOT)
    whole = host.inventory()["volumes"]
    capture = ("golden", "capture", "red", "--name", "other")
    create, reset = ("create", "green", "--topology", "mini"), ("reset", "node-1", "-t", "green")

    def forget() -> None:
        host.labctl("golden", "remove", "other", check=False)

    capturing = lasting(host, *capture)
    forget()
    for share in shares(FEW):
        kill(host, capturing * share, *capture, again=forget)
        host.labctl("create", "red")
        assert host.ssh("red", "node-1", BOOT) == boot
        forget()
        assert host.inventory()["volumes"] == whole
    creating, resetting = lasting(host, *create), lasting(host, *reset)
    host.labctl("destroy", "green")
    for share in shares(FEW, seed=1):
        kill(host, creating * share, *create, again=lambda: host.labctl("destroy", "green"))
        host.labctl(*create)
        assert host.ssh("green", "node-1", BOOT) == boot
        host.ssh("green", "node-1", "echo ruined >/run/mark")
        kill(host, resetting * share, *reset)
        host.labctl(*reset)
        assert host.ssh("green", "node-1", "cat /run/mark").strip() == "red"
        assert host.ssh("green", "node-1", BOOT) == boot
        host.labctl("destroy", "green")
        assert host.inventory()["volumes"] == whole


def test_a_damaged_memory_image_is_noticed_and_the_node_boots(host: LabHost, tmp_path: Path) -> None:
    noise = tmp_path / "noise"
    noise.write_bytes(b"\xa5" * 1024**2)
    broken = volume(host, "-node-1.memory")
    host.virsh("vol-upload", "--pool", "labctl", broken, str(noise), "--offset", str(20 * 1024**2))
    done = host.labctl("golden", "verify", SET, check=False)
    assert done.returncode != 0
    assert broken in done.stderr
    done = host.labctl("create", "green", "--topology", "mini")
    assert "boots instead" in done.stdout + done.stderr
    boots = [host.ssh("green", node, BOOT) for node in ("node-1", "node-2")]
    originals = [host.ssh("red", node, BOOT) for node in ("node-1", "node-2")]
    assert boots[0] != originals[0]
    assert boots[1] == originals[1]


def test_memory_of_another_qemu_is_not_restored(host: LabHost, tmp_path: Path) -> None:
    manifest, file = volume(host, ".json"), tmp_path / "manifest.json"
    host.virsh("vol-download", "--pool", "labctl", manifest, str(file))
    version = json.loads(file.read_text())["machine"]["qemu"]
    other = f"0{version[1:]}"
    file.write_text(file.read_text().replace(f'"{version}"', f'"{other}"'))
    host.virsh("vol-upload", "--pool", "labctl", manifest, str(file))
    done = host.labctl("reset", "node-2", "-t", "blue")
    assert f"QEMU is {version} here and was {other}" in done.stdout + done.stderr
    assert host.ssh("blue", "node-1", BOOT) == host.ssh("red", "node-1", BOOT)
    assert host.ssh("blue", "node-2", BOOT) != host.ssh("red", "node-2", BOOT)


def test_nothing_is_left(host: LabHost, before: dict[str, Any]) -> None:
    for team in ("red", "green", "blue"):
        host.labctl("destroy", team, check=False)
    host.labctl("golden", "remove", SET)
    assert host.inventory() == before
    assert "labctl" in output(["virsh", "--connect", host.uri, "pool-list", "--name"])
