"""Killed commands and foreign objects: nothing is lost, nothing is left, nothing foreign is touched."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.lab_host import LabHost, stub_disk

pytestmark = [pytest.mark.root, pytest.mark.slow]

KILLS = int(os.environ.get("LABCTL_TEST_KILLS", "4"))
FEW = max(1, KILLS // 2)
"""Kills of a command whose guests run; the crash matrix (tests/unit) tries every moment."""
SEED = int(os.environ.get("LABCTL_TEST_SEED", "20130826"))


@pytest.fixture(scope="module")
def topology(lab_host: LabHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Write topology mini with guests that halt at once: what is killed here ends before a guest would boot."""
    folder = tmp_path_factory.mktemp("stub")
    lab_host.labctl("image", "import", "stub", str(stub_disk(folder / "stub.qcow2")))
    file = folder / "mini.yaml"
    file.write_text(lab_host.labctl("init", "mini").stdout.replace("image: debian-13", "image: stub"))
    yield str(file)
    lab_host.labctl("image", "remove", "stub")


@pytest.fixture
def host(lab_host: LabHost, topology: str) -> Iterator[LabHost]:
    """Return a host with that image, and see that no lab stays on it."""
    yield lab_host
    lab_host.labctl("destroy", "green", check=False)


def shares(count: int, *, seed: int = 0) -> list[float]:
    """Return at what parts of its time a command is to be killed."""
    drawn = random.Random(SEED + seed)
    return [drawn.uniform(0.05, 0.95) for _ in range(count)]


def lasting(host: LabHost, *command: str) -> float:
    """Run a command to its end; return how many seconds it took."""
    began = time.monotonic()
    host.labctl(*command)
    return time.monotonic() - began


def kill(host: LabHost, after: float, *command: str, again: Callable[[], object] = lambda: None) -> None:
    """Start a command and kill it, and whatever it started; fail when it cannot be hit.

    Args:
        after: seconds. A command that ended before is tried again and killed earlier.
        again: makes what stood before the command.
    """
    for _ in range(5):
        process = host.popen(*command)
        time.sleep(after)
        hit = process.poll() is None
        if hit:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
        if hit:
            return
        after /= 2
        again()
    pytest.fail(f"labctl {' '.join(command)} ends before it can be killed")


def test_create_killed_anywhere_completes_and_destroy_leaves_nothing(host: LabHost, topology: str) -> None:
    before = host.inventory()
    create, destroy = ("create", "green", "--topology", topology, "--no-wait"), ("destroy", "green")
    creating, destroying = lasting(host, *create), lasting(host, *destroy)
    for share in shares(KILLS):
        kill(host, creating * share, *create, again=lambda: host.labctl(*destroy))
        host.labctl(*create)
        assert [node["state"] for node in host.document("status", "green")["nodes"]] == ["running"] * 2
        kill(host, destroying * share, *destroy, again=lambda: host.labctl(*create))
        host.labctl(*destroy, check=False)  # it may have ended but for its exit, and then there is no lab
        assert host.inventory() == before


def test_reset_killed_anywhere_is_finished_by_the_same_command(host: LabHost, topology: str) -> None:
    before = host.inventory()
    host.labctl("create", "green", "--topology", topology, "--no-wait")
    whole = host.inventory()
    reset = ("reset", "node-1", "-t", "green", "--no-wait")
    resetting = lasting(host, *reset)
    for share in shares(KILLS, seed=1):
        kill(host, resetting * share, *reset)
        host.labctl(*reset)
        now = host.inventory()
        assert {key: now[key] for key in now if key != "links"} == {key: whole[key] for key in whole if key != "links"}
        assert len(now["links"]) == len(whole["links"])  # tap devices are numbered anew
    host.labctl("destroy", "green")
    assert host.inventory() == before


def test_foreign_objects_with_our_names_are_refused_and_stay(host: LabHost, topology: str, tmp_path: Path) -> None:
    domain = tmp_path / "domain.xml"
    domain.write_text(
        "<domain type='qemu'><name>green-node-1</name><memory unit='MiB'>64</memory>"
        "<os><type machine='pc'>hvm</type></os></domain>"
    )
    network = tmp_path / "network.xml"
    network.write_text("<network><name>green-internal</name><bridge name='foreign0'/></network>")
    host.virsh("define", str(domain))
    host.virsh("net-define", str(network))
    host.virsh("vol-create-as", "labctl", "green-node-2.qcow2", "1M")
    before = host.inventory()
    described = host.virsh("dumpxml", "green-node-1"), host.virsh("net-dumpxml", "green-internal")
    try:
        done = host.labctl("create", "green", "--topology", topology, check=False)
        assert done.returncode == 3
        for name in ("domain green-node-1", "network green-internal", "volume green-node-2.qcow2"):
            assert name in done.stderr
        assert host.inventory() == before
        assert (host.virsh("dumpxml", "green-node-1"), host.virsh("net-dumpxml", "green-internal")) == described
    finally:
        host.virsh("undefine", "green-node-1")
        host.virsh("net-undefine", "green-internal")
        host.virsh("vol-delete", "--pool", "labctl", "green-node-2.qcow2")


def test_too_large_a_lab_is_refused_with_the_numbers(host: LabHost, topology: str, tmp_path: Path) -> None:
    before = host.inventory()
    large = tmp_path / "large.yaml"
    large.write_text(Path(topology).read_text().replace("512 MiB", "900 GiB"))
    done = host.labctl("create", "green", "--topology", str(large), check=False)
    assert done.returncode == 3, done.stderr
    assert "memory" in done.stderr
    assert "--overcommit" in done.stderr
    assert host.inventory() == before


def test_two_runs_at_once_are_one_and_a_refusal(host: LabHost, topology: str) -> None:
    create = ("create", "green", "--topology", topology, "--no-wait")
    first = host.popen(*create)
    deadline = time.monotonic() + 60
    while not (host.home / "labs/green").exists():  # from then on it holds the team
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGSTOP)
    try:
        assert first.poll() is None
        second = host.labctl(*create, check=False)
    finally:
        os.killpg(first.pid, signal.SIGCONT)
    assert second.returncode == 3
    assert "green" in second.stderr
    assert first.wait(timeout=120) == 0
    assert [node["state"] for node in host.document("status", "green")["nodes"]] == ["running"] * 2
    assert "nothing to do" in host.labctl(*create).stdout
