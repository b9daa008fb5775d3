"""OpenSSH and Ansible reach a lab's nodes by the files that labctl writes for them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.lab_host import LABCTL, LabHost, output, root_namespace

pytestmark = [pytest.mark.root, pytest.mark.slow]

ANSIBLE = Path(sys.executable).with_name("ansible")


@pytest.fixture(scope="module")
def labs(set_host: LabHost) -> Iterator[LabHost]:
    """Fork two labs, whose nodes have the same names and addresses."""
    set_host.labctl("create", "ink", "oak", "--from", "origin")
    yield set_host
    set_host.labctl("destroy", "ink", "oak")


def test_openssh_logs_in_by_the_exported_configuration(labs: LabHost, tmp_path: Path) -> None:
    before = root_namespace()
    config = tmp_path / "config"
    config.write_text(labs.labctl("ssh-config", "ink").stdout)
    for name in ("ink-node-1", "node-1", "node-1.example.org"):
        assert output(["ssh", "-F", str(config), name, "hostname"], timeout=180).strip() == "node-1"
    content = output(["ssh", "-F", str(config), "node-2", "seq 300000"], timeout=180)
    assert content == "".join(f"{number}\n" for number in range(1, 300001))
    assert root_namespace() == before


def test_ansible_pings_every_node_of_every_lab_over_the_exported_inventory(labs: LabHost, tmp_path: Path) -> None:
    for team in ("ink", "oak"):
        labs.ssh(team, "node-1", f"echo {team} > /root/whose")
    file, script = tmp_path / "labs.ini", tmp_path / "labs"
    file.write_text(labs.labctl("inventory", "ink", "oak").stdout)
    script.write_text(f'#!/bin/sh\nexec {LABCTL} inventory ink oak "$@"\n')
    script.chmod(0o755)
    assert sorted(ansible(labs, file, "all", "-m", "ping")) == ["ink-node-1", "ink-node-2", "oak-node-1", "oak-node-2"]
    for team in ("ink", "oak"):
        said = ansible(labs, script, f"lab_{team}:&*-node-1", "-m", "command", "-a", "cat /root/whose")
        assert said == {f"{team}-node-1": team}


def ansible(labs: LabHost, inventory: Path, *arguments: str) -> dict[str, str]:
    """Run a module; return what each host said. Its folders are the test's own."""
    folder = inventory.parent
    env = labs.env | {"ANSIBLE_HOME": str(folder / "home")}
    done = subprocess.run(
        [ANSIBLE, "-i", inventory, *arguments],
        env=env,
        cwd=folder,
        stdin=subprocess.DEVNULL,  # ssh leaves a terminal in a mode that Ansible refuses
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = re.findall(r"^(\S+) \| (?:SUCCESS|CHANGED)(?: \| rc=0 >>\n(.*))?", done.stdout, re.MULTILINE)
    return dict(said)
