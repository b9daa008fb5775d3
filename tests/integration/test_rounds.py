"""A round on real guests, through the command line: two labs, swapped; mended, not mended, broken besides; replayed.

Tests of this file run in order on the same labs, for an emulated boot is expensive.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.lab_host import LabHost

pytestmark = [pytest.mark.root, pytest.mark.slow]

GOOD, BAD = "round-a", "round-b"
"""Who mends the other one's lab, and who does not. In a swap of two each has the other one's lab."""


@pytest.fixture(scope="module")
def labs(set_host: LabHost) -> Iterator[LabHost]:
    """Create two labs to play on."""
    try:
        set_host.labctl("create", GOOD, BAD, "--topology", "mini")
        yield set_host
    finally:
        set_host.labctl("destroy", GOOD, BAD, "--yes", check=False)


def scores(labs: LabHost, *words: str) -> dict[str, dict[str, Any]]:
    return {team["team"]: team for team in labs.document("score", "--quiet", *words)["teams"]}


def test_a_swapped_round_is_opened_and_its_clock_runs(labs: LabHost, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("sustained: 5\n")
    said = labs.labctl("round", "open", GOOD, BAD, "BA-02", "--swap", "--rules", str(rules))
    assert "BA-02" not in said.stdout + said.stderr
    found = {team["team"]: (team["lab"], team["state"]) for team in labs.document("round", "status")}
    assert found == {GOOD: (BAD, "running"), BAD: (GOOD, "running")}
    assert labs.labctl("sabotage", GOOD, "BA-13", check=False).returncode == 3


def test_a_hint_is_paid_and_a_diagnosis_is_noted(labs: LabHost) -> None:
    (sealed,) = labs.document("sabotage", "reveal", BAD)
    assert "10 points" in labs.labctl("hint", GOOD).stdout
    right = ("--suspect", sealed["service"], "--node", sealed["node"], "--symptom", "B02")
    assert labs.labctl("report", GOOD, *right).stdout == f"{GOOD}: noted.\n"
    assert labs.labctl("report", BAD, "--suspect", "apt").stdout == f"{BAD}: noted.\n"
    assert labs.labctl("report", BAD, "--node", "nowhere", check=False).returncode == 2


def test_one_team_mends_and_the_other_breaks_more(labs: LabHost) -> None:
    (sealed,) = labs.document("sabotage", "reveal", BAD)
    for node, line in sealed["repair"]:
        labs.ssh(BAD, node, line)
    labs.ssh(GOOD, "node-2", "chmod 700 /tmp")
    found = scores(labs)
    assert found[GOOD]["points"] == 20 + 30 - 10
    assert (found[BAD]["wrong"], found[BAD]["broken"]) == (10, ["B11"])


def test_a_frozen_board_stands_still_through_the_end(labs: LabHost) -> None:
    before = scores(labs, "--no-check", "--view", "public")
    opened = datetime.fromisoformat(labs.document("round", "status")[0]["opened"])
    freeze = (opened + timedelta(minutes=1)).replace(second=0, microsecond=0)  # what was won until then may be seen
    labs.labctl("score", "--freeze", freeze.astimezone().strftime("%H:%M"))
    time.sleep(max(0.0, (freeze - datetime.now(UTC)).total_seconds()))
    frozen = scores(labs, "--no-check", "--view", "public")
    labs.labctl("round", "close")
    assert scores(labs, "--view", "public") == frozen
    assert frozen[GOOD]["points"] <= before[GOOD]["points"]


def test_the_end_gives_all_points_and_a_replay_the_same(labs: LabHost) -> None:
    labs.labctl("score", "--reveal")
    found = scores(labs)
    assert found[GOOD]["points"] == 100 - 10
    assert found[GOOD]["faults"][0]["lasting"] == 10
    assert found[BAD]["points"] == 0
    assert scores(labs, "--view", "public")[GOOD]["points"] == 90
    said = labs.labctl("score", "-o", "json").stdout
    assert labs.labctl("score", "--replay", "-o", "json").stdout == said
    assert [json.loads(line)["kind"] for line in events(labs, BAD)][:2] == ["round opened", "check run"]


def test_a_drill_is_won_by_who_says_so(labs: LabHost) -> None:
    labs.ssh(GOOD, "node-2", "chmod 1777 /tmp")
    labs.labctl("sabotage", "heal", GOOD, BAD)
    labs.labctl("round", "open", GOOD, "--drill")
    labs.labctl("report", GOOD, "--nothing")
    labs.labctl("round", "close", "--no-check")
    assert scores(labs)[GOOD]["points"] == 100


def events(labs: LabHost, team: str) -> list[str]:
    return (labs.home / "labs" / team / "events.jsonl").read_text().splitlines()
