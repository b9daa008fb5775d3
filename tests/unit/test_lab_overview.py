"""The list of labs: a damaged record is a line of it, and keeps nobody else from anything."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner
from netaddr import IPNetwork

from labctl.cli.root import root
from labctl.lab import overview
from labctl.spec import topology
from labctl.state import Home, LabRecord

MINI = topology.load("mini")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("LABCTL_HOME", str(tmp_path))
    home = Home(tmp_path)
    (home.root / "hosts").mkdir()
    (home.root / "hosts/gone.yaml").write_text("uri: qemu+unix:///system?socket=/nowhere/libvirt-sock\n")
    record = LabRecord(
        team="red",
        lab=uuid4(),
        owner=uuid4(),
        host="gone",
        mgmt=IPNetwork("192.168.128.0/24"),
        topology=MINI.document(),
        digest=MINI.digest,
        stage="bare",
        virt="qemu",
    )
    home.lab("red").save(record)
    home.lab("blue").write("lab.json", record.to_json()[:100])
    return home


def test_a_damaged_record_is_a_line_of_the_list(home: Home) -> None:
    lines = {line.team: line for line in overview.labs(home)}
    assert lines["blue"].trouble == "its record is damaged"
    assert lines["red"].record is not None


@pytest.mark.parametrize("command", ["list", "plan green --topology mini --host gone"])
def test_commands_that_read_all_records_name_the_damaged_one_and_go_on(home: Home, command: str) -> None:
    done = CliRunner().invoke(root, command.split())
    assert done.exit_code == 0, done.output
    assert "labs/blue/lab.json is damaged" in done.stderr
    assert "labctl destroy blue" in done.stderr


def test_the_team_must_be_named_where_another_one_is_damaged(home: Home) -> None:
    done = CliRunner().invoke(root, ["status"])
    assert "blue, red" in str(done.exception.details if done.exception else "")  # type: ignore[attr-defined]
