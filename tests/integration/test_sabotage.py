"""Checks and sabotage on real guests, through the command line: the whole bare pool, kills, repairs by hand, resets.

Tests of this file run in order on the same lab, for an emulated boot is expensive.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from labctl.checks.check import CHECKS
from labctl.guest.agent import AgentGuest
from labctl.sabotage.fault import FAULTS
from labctl.site import site
from labctl.state import Home, records
from tests.integration.lab_host import LabHost
from tests.integration.test_lab_accidents import FEW, kill, lasting, shares

pytestmark = [pytest.mark.root, pytest.mark.slow]

TEAM = "broken"
# As mini, and a disk and a card of the kind that the tutorial's reader sets up.
TOPOLOGY = """
name: twins
description: Two nodes, a data disk, and a network that is left unconfigured.
domain: example.org
defaults: {image: debian-13, memory: 512 MiB, disk: 4 GiB}
networks:
  mgmt: {kind: nat}
  internal: {subnet: 10.0.0.0/24, names: short}
  public: {subnet: 172.16.0.0/16, names: full}
  private: {}
nodes:
  node-1:
    nics: [{network: mgmt}, {network: internal, address: 10.0.0.3}, {network: public, address: 172.16.0.3}]
    disks: [{size: 1 GiB}]
  node-2:
    nics:
      - network: mgmt
      - {network: internal, address: 10.0.0.4}
      - {network: public, address: 172.16.0.4}
      - network: private
"""


@pytest.fixture(scope="module")
def lab(image_host: LabHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    """Create a lab to break."""
    file = tmp_path_factory.mktemp("topology") / "twins.yaml"
    file.write_text(TOPOLOGY)
    try:
        image_host.labctl("create", TEAM, "--topology", str(file))
        yield image_host
    finally:
        image_host.labctl("destroy", TEAM, "--yes", check=False)


def verdicts(lab: LabHost, *ids: str) -> dict[str, str]:
    done = lab.labctl("check", TEAM, *ids, "-o", "json", "--quiet", check=False)
    assert done.returncode in (0, 4), done.stderr
    return {check["id"]: check["result"] for check in json.loads(done.stdout)["checks"]}


def test_a_new_lab_is_green(lab: LabHost) -> None:
    found = verdicts(lab)
    assert set(found) == {check.id for check in CHECKS if "bare" in check.stages}
    assert {name for name, verdict in found.items() if verdict != "PASS"} == {"B09"}, "it has no medium"


@pytest.mark.parametrize(
    ("check", "node", "break_it", "mend_it"),
    [
        ("B06", "node-1", "echo x >/dev/vdb; sync", "dd if=/dev/zero of=/dev/vdb bs=4k count=1 status=none; sync"),
        ("B10", "node-2", "ip addr add 10.9.9.9/24 dev eth3", "ip addr del 10.9.9.9/24 dev eth3"),
        ("B11", "node-1", "chmod 600 /etc/hosts", "chmod 644 /etc/hosts"),
    ],
)
def test_what_is_broken_by_hand_is_red(lab: LabHost, check: str, node: str, break_it: str, mend_it: str) -> None:
    lab.ssh(TEAM, node, break_it)
    broken = verdicts(lab, check)
    lab.ssh(TEAM, node, mend_it)
    assert broken == {check: "FAIL"}
    assert verdicts(lab, check) == {check: "PASS"}


def test_a_node_with_another_host_key_is_not_let_in(lab: LabHost) -> None:
    file = lab.home / "labs" / TEAM / "host-keys.json"
    right = file.read_text()
    keys = json.loads(right)
    file.write_text(json.dumps({"node-1": keys["node-2"], "node-2": keys["node-2"]}))
    try:
        assert verdicts(lab, "B01", "B02") == {"B01": "FAIL", "B02": "BLOCKED"}
    finally:
        file.write_text(right)


def test_every_fault_does_what_it_says_and_leaves_nothing(lab: LabHost) -> None:
    done = lab.labctl("sabotage", "verify", TEAM, "-o", "json", "--quiet", timeout=3000, check=False)
    found = json.loads(done.stdout)
    assert {each["fault"]: each["trouble"] for each in found if not each["ok"]} == {}
    assert len(found) == len([fault for fault in FAULTS if "bare" in fault.stages])
    red = {check for each in found for check in each["red"]}
    assert red >= {"B02", "B03", "B04", "B05", "B07", "B08", "B10", "B11", "B12"}
    # In a round repairs are worth all points of a fault, and a cheat no more than the diagnosis.
    paid = {points for each in found for kind, points in each["points"].items() if kind != "cheat"}
    assert paid == {100}
    assert max(each["points"].get("cheat", 0) for each in found) <= 50
    assert done.returncode == 0


def test_a_random_fault_is_sealed_hinted_revealed_and_healed(lab: LabHost) -> None:
    said = lab.labctl("sabotage", TEAM, "--random", "--seed", "monday")
    (fault,) = (each for each in lab.document("sabotage", "status", TEAM)[0]["faults"] if each["state"] == "injected")
    (sealed,) = lab.document("sabotage", "reveal", TEAM)
    for spoiler in (sealed["fault"], sealed["explanation"], *sealed["red"]):
        assert spoiler not in said.stdout + said.stderr
    assert fault["title"] == sealed["title"]
    assert sealed["hints"][0] in lab.labctl("sabotage", "hint", TEAM).stdout
    assert "FAIL" in verdicts(lab, *sealed["red"]).values()
    assert "all checks are green" in lab.labctl("sabotage", "heal", TEAM).stdout
    assert "there is nothing to heal" in lab.labctl("sabotage", "heal", TEAM).stdout


def test_the_same_seed_breaks_the_same(lab: LabHost) -> None:
    first = lab.labctl("sabotage", TEAM, "--random", "--seed", "monday", "--dry-run").stdout
    assert first == lab.labctl("sabotage", TEAM, "--random", "--seed", "monday", "--dry-run").stdout


def test_a_killed_sabotage_is_healed(lab: LabHost) -> None:
    before = looks(lab)
    inject, heal = ("sabotage", TEAM, "BA-01"), ("sabotage", "heal", TEAM)
    injecting = lasting(lab, *inject)
    lab.labctl(*heal)
    for share in shares(FEW):
        kill(lab, injecting * share, *inject, again=lambda: lab.labctl(*heal))
        assert "all checks are green" in lab.labctl(*heal).stdout
        assert looks(lab) == before


def test_a_killed_heal_is_healed(lab: LabHost) -> None:
    before = looks(lab)
    inject, heal = ("sabotage", TEAM, "BA-01"), ("sabotage", "heal", TEAM)
    lab.labctl(*inject)
    healing = lasting(lab, *heal)
    lab.labctl(*inject)
    (share,) = shares(1)
    kill(lab, healing * share, *heal, again=lambda: lab.labctl(*inject))
    lab.labctl(*heal)
    assert looks(lab) == before


def test_a_repair_by_hand_is_left_as_it_is(lab: LabHost) -> None:
    lab.labctl("sabotage", TEAM, "BA-16")
    (sealed,) = lab.document("sabotage", "reveal", TEAM)
    path = sealed["repair"][0][1].removeprefix("rm ")
    lab.ssh(TEAM, sealed["node"], f"echo kept >{path}")
    said = lab.labctl("sabotage", "heal", TEAM).stdout
    assert "changed by somebody else, left as it is" in said
    assert "all checks are green" in said
    assert lab.ssh(TEAM, sealed["node"], f"cat {path}; rm {path}") == "kept\n"


def test_a_better_repair_by_hand_is_left_as_it_is(lab: LabHost) -> None:
    lab.labctl("sabotage", TEAM, "BA-03")
    (sealed,) = lab.document("sabotage", "reveal", TEAM)
    lab.ssh(TEAM, sealed["node"], "sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf")
    said = lab.labctl("sabotage", "heal", TEAM).stdout
    assert "changed by somebody else, left as it is" in said
    assert "all checks are green" in said
    assert lab.ssh(TEAM, sealed["node"], "grep ^hosts: /etc/nsswitch.conf") == "hosts: files\n"
    lab.ssh(TEAM, sealed["node"], "sed -i 's/^hosts:.*/hosts:          files dns/' /etc/nsswitch.conf")


def test_a_ledger_that_cannot_be_written_breaks_nothing(lab: LabHost) -> None:
    before = looks(lab)
    ledger = lab.home / "labs" / TEAM / "sabotage.json"
    kept = ledger.read_text()
    ledger.unlink()
    ledger.mkdir()
    try:
        assert lab.labctl("sabotage", TEAM, "BA-01", check=False).returncode in (1, 3)
        assert looks(lab) == before
    finally:
        ledger.rmdir()
        ledger.write_text(kept)


def test_the_guest_agent_reads_and_writes_files(lab: LabHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_HOME", str(lab.home))
    home = Home()
    record = records.record_of(home, TEAM)
    node = records.plan_of(record).node("node-1")
    with site.opened(home, record.host) as place:
        inside = partial(place.hypervisor.run_inside, node.uuid, cancelled=threading.Event())
        guest = AgentGuest("node-1", inside)  # type: ignore[arg-type]
        when = 1_500_000_000_000_000_007
        content = b"\xff\x00 bytes\n" * 40_000  # more than an agent takes at once
        guest.put(content, "/var/tmp/by-agent", mode=0o640, owner="root:adm", mtime=when)
        found = guest.look("/var/tmp/by-agent")
        assert found is not None
        assert (found.content, found.mode, found.owner) == (content, 0o640, "root:adm")
        assert found.mtime == when
        guest.run("rm /var/tmp/by-agent", timeout=60)
        assert guest.look("/var/tmp/by-agent") is None


def test_a_reset_of_its_node_ends_a_fault(lab: LabHost) -> None:
    lab.labctl("sabotage", TEAM, "BA-02")
    (sealed,) = lab.document("sabotage", "reveal", TEAM)
    lab.labctl("reset", "-t", TEAM, sealed["node"])
    assert lab.document("sabotage", "status", TEAM)[0]["faults"][-1]["state"] == "gone"
    assert "there is nothing to heal" in lab.labctl("sabotage", "heal", TEAM).stdout


def looks(lab: LabHost) -> str:
    """Return how files look that faults of this file change: every byte, owner, mode and time."""
    line = "cd /etc; stat -c '%n %a %U:%G %y' hosts nsswitch.conf .; md5sum hosts nsswitch.conf; ls -A /var/tmp /root"
    return "".join(lab.ssh(TEAM, node, line) for node in ("node-1", "node-2"))
