"""What people type about chapters and waiting labs, and what they read."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from click.testing import CliRunner

from labctl.cli.root import root
from labctl.site import site
from labctl.state.ledger import Ledger
from tests.unit.fake_site import World

CHAPTER = ("--topology", "allinone", "--stage", "after:chrony")


@pytest.fixture
def world(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return an installation whose commands find the fake host, with a set of a chapter and a lab that is not there."""
    monkeypatch.setattr(site, "opened", lambda *_, **__: contextlib.nullcontext(world.site()))
    monkeypatch.setenv("LABCTL_HOME", str(world.home.root))
    world.create("red", named="allinone")
    Ledger(world.home.lab("red"), world.record("red")).change(reached="chrony")
    world.capture("red")
    world.create("green", named="allinone")
    return world


def labctl(*words: str, code: int = 0) -> str:
    """Run a command; return all that it said."""
    done = CliRunner().invoke(root, words)
    assert (done.exit_code, done.exception) == (code, None) or code, f"{done.output}{done.exception}"
    return done.output


def document(*words: str) -> Any:
    """Return what a command prints as JSON."""
    done = CliRunner().invoke(root, [*words, "-o", "json", "-q"])
    assert done.exit_code == 0, f"{done.output}{done.exception}"
    return json.loads(done.stdout)


def test_a_dry_run_of_a_catch_up_says_what_is_lost_and_loses_nothing(world: World) -> None:
    before = world.inventory(), world.record("green")
    said = labctl("catchup", "green", "--to", "chrony", "--dry-run")
    assert "It is taken to stage after:chrony" in said
    assert said.endswith("Nothing was done.\n")
    assert (world.inventory(), world.record("green")) == before


def test_a_catch_up_of_several_labs_names_where_they_stand(world: World) -> None:
    world.create("blue", named="allinone")
    made = document("catchup", "green", "blue", "--to", "chrony")
    assert [(each["team"], each["stage"], each["golden"]) for each in made] == [
        ("green", "after:chrony", "allinone-after-chrony"),
        ("blue", "after:chrony", "allinone-after-chrony"),
    ]
    listed = {each["team"]: each["stage"] for each in document("list")}
    assert listed == dict.fromkeys(("red", "green", "blue"), "after:chrony")
    assert document("status", "green")["openstack"]["reached"] == "chrony"
    assert "Its cloud is installed up to the chapter of chrony." in labctl("status", "green")


def test_a_lab_is_made_after_a_chapter_and_golden_sets_say_theirs(world: World) -> None:
    labctl("create", "blue", *CHAPTER)
    assert world.record("blue").stage_name == "after:chrony"
    assert [each["stage"] for each in document("golden", "list")] == ["after:chrony"]
    assert "after:chrony" in labctl("golden", "list")


@pytest.mark.parametrize("stage", ["after", "after:", "glance", "after:Glance"])
def test_what_is_no_stage_is_refused(world: World, stage: str) -> None:
    assert "is no stage" in labctl("create", "blue", "--stage", stage, code=2)


def test_a_pool_is_kept_shown_and_emptied(world: World) -> None:
    assert labctl("standby", "2", *CHAPTER, "--dry-run") == "0 labs wait. standby 2 would make 2.\n"
    assert document("standby", "1", "--from", "allinone-after-chrony")["waiting"] == ["standby-01"]
    assert {each["team"]: each["standby"] for each in document("list")} == {
        "red": False,
        "green": False,
        "standby-01": True,
    }
    assert "after:chrony, waits" in labctl("list")
    assert "blue takes standby-01" in labctl("create", "blue", *CHAPTER, "--dry-run")
    labctl("create", "blue", *CHAPTER)
    assert labctl("standby", "1", *CHAPTER, "-q") == "Labs that wait: standby-02. 1 made.\n"
    assert labctl("standby", "0", *CHAPTER, "-q") == "No lab waits. 1 removed.\n"
    assert world.record("blue").label == "standby-01"
    labctl("standby", "1", *CHAPTER)
    assert labctl("standby", "0", "--dry-run") == "1 lab waits. standby 0 would remove 1.\n"
    assert labctl("standby", "0", "-q") == "No lab waits. 1 removed.\n"
