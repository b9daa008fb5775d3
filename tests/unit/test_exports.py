"""Files for other tools: OpenSSH and Ansible themselves read what labctl writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from labctl.plan.lab import plan
from labctl.plan.model import Identity, LabPlan
from labctl.report import inventory, logins
from labctl.report.logins import Door, Keys, Login
from labctl.spec import topology

DOOR = Door(host="classroom.example.org", port=2222)
ODD = '/srv/the labs/100% of "them"'
ANSIBLE = Path(sys.executable).with_name("ansible-inventory")


def keys(team: str, folder: str = "~/.ssh/labctl") -> Keys:
    return Keys(private=f"{folder}/{team}.key", known_hosts=f"{folder}/{team}.known_hosts")


def direct(lab: LabPlan, folder: str = "/home") -> list[Login]:
    carrier = ["env", f"LABCTL_HOME={folder}", "labctl", "forward", lab.team, "--stdio"]
    return logins.direct(lab, keys(lab.team, folder), carrier)


def through(lab: LabPlan) -> list[Login]:
    return logins.through(lab, keys(lab.team), DOOR)


@pytest.fixture
def two(make_identity: Callable[..., Identity]) -> list[LabPlan]:
    """Return two labs, whose nodes have the same names and inner addresses."""
    return [
        plan(topology.load("gridka"), make_identity("team01")),
        plan(topology.load("gridka"), make_identity("team-2", lab=2, mgmt="192.168.129.0/24")),
    ]


def asked(config: str, folder: Path, host: str) -> dict[str, str]:
    """Return what OpenSSH makes of a configuration for a host."""
    file = folder / "config"
    file.write_text(config)
    said = subprocess.run(["ssh", "-G", "-F", file, host], capture_output=True, text=True, check=True).stdout
    return dict(line.partition(" ")[::2] for line in said.splitlines())


def read_back(path: Path) -> dict[str, object]:
    """Return what Ansible reads from an inventory, as its own list."""
    env = os.environ | {
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "HOME": str(path.parent),
        "ANSIBLE_INVENTORY_UNPARSED_FAILED": "1",
    }
    done = subprocess.run(
        [ANSIBLE, "-i", path, "--list"], env=env, capture_output=True, text=True, check=True, cwd=path.parent
    )
    assert "WARNING" not in done.stderr, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_the_configuration_of_a_lab_for_a_laptop(mini: LabPlan, golden: Callable[[str, str], None]) -> None:
    golden("ssh_config_door", logins.ssh_config(mini, through(mini), door=(DOOR, keys("team01")), alone=True))


def test_the_configuration_of_a_lab_for_this_machine(mini: LabPlan, golden: Callable[[str, str], None]) -> None:
    golden("ssh_config_direct", logins.ssh_config(mini, direct(mini), door=None, alone=True))


@pytest.mark.parametrize("name", ["team01-db-node", "db-node", "db-node.example.org"])
def test_openssh_jumps_over_the_door_to_each_name_of_a_node(gridka: LabPlan, tmp_path: Path, name: str) -> None:
    config = logins.ssh_config(gridka, through(gridka), door=(DOOR, keys("team01")), alone=True)
    found = asked(config, tmp_path, name)
    assert (found["user"], found["hostname"], found["hostkeyalias"]) == ("root", "team01-db-node", "db-node")
    assert (found["proxyjump"], found["forwardagent"], found["stricthostkeychecking"]) == ("team01-door", "no", "true")
    door = asked(config, tmp_path, "team01-door")
    assert (door["user"], door["hostname"], door["port"]) == ("team01", "classroom.example.org", "2222")
    assert (door["forwardagent"], door["stricthostkeychecking"]) == ("no", "true")


def test_folders_with_blanks_percent_signs_and_quotes_reach_openssh_as_they_are(mini: LabPlan, tmp_path: Path) -> None:
    found = asked(logins.ssh_config(mini, direct(mini, ODD), door=None, alone=True), tmp_path, "node-1")
    assert found["identityfile"] == f"{ODD}/team01.key".replace("%", "%%")  # expanded when it is used
    assert found["proxycommand"].startswith("env 'LABCTL_HOME=/srv/the labs/100%% of")


def test_nodes_of_two_teams_never_share_a_connection_or_a_key(two: list[LabPlan], tmp_path: Path) -> None:
    for ways in (direct, through):
        text = "\n".join(
            logins.ssh_config(lab, ways(lab), door=(DOOR, keys(lab.team)) if ways is through else None, alone=False)
            for lab in two
        )
        found = [asked(text, tmp_path, f"{team}-db-node") for team in ("team01", "team-2")]
        for option in ("hostname", "identityfile", "userknownhostsfile"):
            assert len({each[option] for each in found}) == 2, option
        assert asked(text, tmp_path, "db-node")["hostname"] == "db-node"  # whose it would be, nobody can say


def test_ansible_reads_the_same_from_every_format(two: list[LabPlan], tmp_path: Path) -> None:
    labs = [(lab, direct(lab, ODD)) for lab in two]
    script = tmp_path / "script"
    (tmp_path / "listing.json").write_text(json.dumps(inventory.listing(labs)))
    script.write_text(f"#!/bin/sh\ncat '{tmp_path}/listing.json'\n")
    script.chmod(0o755)
    (tmp_path / "labs.yaml").write_text(yaml.safe_dump(inventory.document(labs), sort_keys=False))
    (tmp_path / "labs.ini").write_text(inventory.ini(labs))
    from_script, from_yaml, from_ini = (read_back(tmp_path / name) for name in ("script", "labs.yaml", "labs.ini"))
    assert from_script == from_yaml
    for found in (from_script, from_ini):
        assert found["role_nova"] == {"hosts": ["team01-api-node", "team-2-api-node"]}
        assert found["lab_team_2"] == {"hosts": [node.domain for node in two[1].nodes]}
    written = from_ini["_meta"]["hostvars"]["team-2-db-node"]  # type: ignore[index]
    known = from_yaml["_meta"]["hostvars"]["team-2-db-node"]  # type: ignore[index]
    assert written == {key: value for key, value in known.items() if isinstance(value, str)}


def test_a_host_has_its_own_variables_and_a_stranger_none(mini: LabPlan) -> None:
    labs = [(mini, through(mini))]
    found = inventory.host(labs, "team01-node-2")
    assert found["labctl_addresses"] == {"mgmt": "192.168.128.11", "internal": "10.0.0.4", "public": "172.16.0.4"}
    assert found == inventory.listing(labs)["_meta"]["hostvars"]["team01-node-2"]
    assert inventory.host(labs, "team02-node-2") == {}


def test_hosts_lines_give_each_node_its_own_address(two: list[LabPlan]) -> None:
    lines = inventory.hosts(two).splitlines()
    assert len({line.split()[0] for line in lines}) == len({line.split()[1] for line in lines}) == 16
    assert lines[0].split()[1] == "team01-db-node"
