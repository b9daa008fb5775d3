"""cloud-init's answer is waited for inside the node and judged here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.errors import DeadlineError
from labctl.guest import Result
from labctl.remote import cloudinit

GOOD = {"v1": {"datasource": "DataSourceNoCloud [seed=/dev/sr0]", "errors": []}}
BAD = {"v1": {"datasource": "DataSourceNoCloud [seed=/dev/sr0]", "errors": ["('scripts_user', RuntimeError('x'))"]}}


class LocalShell:
    """A node whose files lie in a folder and whose shell is this machine's."""

    name = "team01-db-node"

    def __init__(self, root: Path, shell: str) -> None:
        self.root = root
        self.shell = shell
        self.run_folder.mkdir(parents=True)
        (root / "log").mkdir()
        (root / "bin").mkdir()
        self.program("cloud-init")
        self.program("systemctl", "echo starting")

    @property
    def run_folder(self) -> Path:
        return self.root / "run"

    def program(self, name: str, script: str = "") -> None:
        (self.root / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.root / "bin" / name).chmod(0o755)

    def write(self, name: str, document: object) -> None:
        (self.run_folder / "new").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
        (self.run_folder / "new").rename(self.run_folder / name)

    def run(self, command: str, *, timeout: float, on_output: Callable[[str], None], **_: object) -> Result:
        script = command.replace("/run/cloud-init", str(self.run_folder)).replace("/var/log", str(self.root / "log"))
        # A PATH of our own: this machine may have cloud-init itself.
        for tool in ("cat", "grep", "tail", "sleep"):
            if not (self.root / "bin" / tool).exists():
                (self.root / "bin" / tool).symlink_to(str(shutil.which(tool)))
        done = subprocess.run(
            [str(shutil.which(self.shell)), "-c", script],
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout + 5,
            env={"PATH": str(self.root / "bin")},
        )
        assert not done.stderr
        for line in done.stdout.splitlines():
            on_output(line)
        return Result(exit_code=done.returncode, stdout=done.stdout, stderr="")


@pytest.fixture(params=["bash", "dash"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> LocalShell:
    if not shutil.which(request.param):
        pytest.skip(f"needs {request.param}")
    return LocalShell(tmp_path / "node", request.param)


def _wait(node: LocalShell, seconds: float = 20, **options: object) -> cloudinit.Seeded:
    return cloudinit.wait_seeded(node, deadline=time.monotonic() + seconds, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "null", "[]", '{"v1": 1}', "[" * 100_000])
def test_a_result_that_is_none_is_a_failure_not_a_bug(text: str) -> None:
    """A learner is root on the node and may write anything there."""
    assert "cannot be understood" in cloudinit.judge(text).errors[0]


def test_a_good_result_is_waited_for_while_stages_pass_by(node: LocalShell) -> None:
    node.write("status.json", {"v1": {"stage": "init-network", "datasource": None}})
    threading.Timer(0.8, node.write, ("result.json", GOOD)).start()
    stages: list[str] = []
    seeded = _wait(node, progress=stages.append)
    assert (seeded.ok, seeded.errors, seeded.log) == (True, (), "")
    assert seeded.datasource == "DataSourceNoCloud [seed=/dev/sr0]"
    assert 0.5 < seeded.seconds < 10
    assert stages == ["init-network"]


def test_errors_come_with_the_logs_last_lines(node: LocalShell) -> None:
    node.write("result.json", BAD)
    (node.root / "log/cloud-init.log").write_text("\n".join(f"line {number}" for number in range(100)))
    seeded = _wait(node)
    assert not seeded.ok
    assert "scripts_user" in seeded.details
    assert "line 99" in seeded.details
    assert "line 50" not in seeded.details


def test_a_node_that_booted_without_a_result_has_failed(node: LocalShell) -> None:
    node.program("systemctl", "echo degraded; exit 1")
    (node.root / "log/cloud-init-output.log").write_text("Traceback\n")
    seeded = _wait(node)
    assert not seeded.ok
    assert "did not finish" in seeded.details
    assert "Traceback" in seeded.details


def test_a_node_without_cloud_init_is_seeded(node: LocalShell) -> None:
    (node.root / "bin/cloud-init").unlink()
    assert _wait(node).ok


def test_a_node_with_cloud_init_switched_off_is_seeded(node: LocalShell) -> None:
    (node.run_folder / "disabled").touch()
    assert _wait(node).ok


def test_the_deadline_tells_the_last_stage(node: LocalShell) -> None:
    node.write("status.json", {"v1": {"stage": "modules-config"}})
    with pytest.raises(DeadlineError) as caught:
        _wait(node, seconds=0.7)
    assert "modules-config" in caught.value.details


def test_waiting_costs_bash_no_processes(tmp_path: Path) -> None:
    node = LocalShell(tmp_path / "node", "bash")
    node.program("sleep", "echo slept")
    with pytest.raises(DeadlineError):
        _wait(node, seconds=1)  # a sleep would print, and be no mark
    before = os.times().children_user + os.times().children_system
    with pytest.raises(DeadlineError):
        _wait(node, seconds=3)
    assert os.times().children_user + os.times().children_system - before < 0.3


def test_recoverable_errors_do_no_harm() -> None:
    text = json.dumps({"v1": {**GOOD["v1"], "recoverable_errors": {"WARNING": ["deprecated"]}}})
    assert cloudinit.judge(text).ok


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"v1": null}', '{"v1": {"datasource": "DataSourceNone", "errors": []}}']
)
def test_what_proves_nothing_is_a_failure(text: str) -> None:
    seeded = cloudinit.judge(text)
    assert not seeded.ok
    assert seeded.errors
