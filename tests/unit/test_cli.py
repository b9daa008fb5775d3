"""The command line as users meet it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from labctl.cli.root import SECTIONS, root
from labctl.spec import topology

COMMANDS = [(name, line) for section in SECTIONS.values() for name, (_, line) in section.items()]


def labctl(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"LABCTL_HOME": str(home)}
    program = [sys.executable, "-c", "from labctl.cli import main; main()", *arguments]
    return subprocess.run(program, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(("name", "line"), COMMANDS)
def test_the_overview_says_what_the_command_says(name: str, line: str) -> None:
    command = root.get_command(click.Context(root), name)
    assert command is not None
    assert command.get_short_help_str(200) == line


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from labctl.cli.root import root; root.main(['--help'], standalone_mode=False)\n"
        "heavy = {'libvirt', 'paramiko', 'pydantic', 'rich', 'yaml', 'jinja2', 'pycdlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("creat",), "Did you mean create?"),
        (("create", "bad name"), "is not a team name"),
        (("status", "red"), "red has no lab"),
        (("reset",), "which nodes?"),
        (("topology", "show", "gridkaa"), "gridka"),
        (("topology", "check", "/nowhere.yaml"), "/nowhere.yaml"),
        (("image", "import", "x", "/nowhere.qcow2", "--bad"), "--bad"),
    ],
)
def test_bad_input_is_named_without_a_traceback(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = labctl(tmp_path, *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plan_needs_no_host_and_changes_nothing(tmp_path: Path) -> None:
    done = labctl(tmp_path / "home", "plan", "team01..team02", "-o", "json")
    plans = json.loads(done.stdout)
    assert [plan["team"] for plan in plans] == ["team01", "team02"]
    assert [node["nics"][1]["address"] for node in plans[0]["nodes"]][:2] == ["10.0.0.3", "10.0.0.4"]
    assert plans[0]["nodes"][0]["nics"][0]["mac"] == plans[1]["nodes"][0]["nics"][0]["mac"]
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", topology.shipped())
def test_init_prints_a_topology_that_loads(tmp_path: Path, name: str) -> None:
    copy = tmp_path / "mine.yaml"
    copy.write_text(labctl(tmp_path, "init", name).stdout)
    assert topology.load(str(copy)).digest == topology.load(name).digest


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_offered_for_each_shell(tmp_path: Path, shell: str) -> None:
    assert "_LABCTL_COMPLETE" in labctl(tmp_path, "completion", shell).stdout
