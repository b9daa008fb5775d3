"""A workshop's day, rehearsed on real guests: GO, a runbook, and nothing is left; nor after Ctrl-C."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.integration.lab_host import LabHost

pytestmark = [pytest.mark.root, pytest.mark.slow]


def test_a_day_that_works_is_a_go_and_leaves_a_runbook_alone(set_host: LabHost, tmp_path: Path) -> None:
    before = set_host.inventory()
    rules = tmp_path / "rules.yaml"
    rules.write_text("sustained: 0\n")  # a minute less
    day = ("--teams", "1", "--faults", "1", "--rules", str(rules), "--runbook", str(tmp_path))
    said = set_host.document("rehearse", "mini", *day)
    assert (said["verdict"], said["reasons"]) == ("GO", [])
    assert said["forked"] is True
    assert {"create", "check", "open", "repair", "close", "score", "heal", "reset", "save", "restore", "leaks"} <= {
        step["name"] for step in said["steps"]
    }
    assert set_host.inventory() == before
    assert "labctl round open team01 --random" in (tmp_path / "runbook.md").read_text()
    assert "☐" in (tmp_path / "runbook.html").read_text()


def test_an_interrupted_rehearsal_leaves_nothing(set_host: LabHost, tmp_path: Path) -> None:
    before = set_host.inventory()
    running = set_host.popen("rehearse", "mini", "--runbook", str(tmp_path / "never"))
    deadline = time.monotonic() + 120
    while "rehearsal-01-node-1" not in set_host.virsh("list", "--name") and time.monotonic() < deadline:
        time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=180) == 130
    assert set_host.inventory() == before
    assert not (tmp_path / "never").exists()
