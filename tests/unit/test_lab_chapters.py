"""Golden sets after chapters: captured, forked, and what teams that fell behind are taken to."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from labctl.errors import InputError, RefusedError
from labctl.installing import passwords
from labctl.installing.installer import Outcome
from labctl.lab import capture, catchup, install, rollout
from labctl.lab.decisions import Choice, Starting
from labctl.plan.lab import stage_name, stage_of
from labctl.sets import store
from labctl.sets.manifest import GoldenManifest
from labctl.site.work import Work
from labctl.spec import topology
from labctl.state.ledger import Ledger
from labctl.state.records import Lab
from tests.unit.fake_site import World, died

ONE = topology.load("allinone")
NODE = ONE.nodes and next(iter(ONE.nodes))


@pytest.fixture(autouse=True)
def installer(world: World, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Have an installer that only writes its chapter onto the disk; return whom it was called for."""
    calls: list[tuple[str, str | None]] = []

    def proceed(work: Work, lab: Lab, *, until: str | None = None, **_: Any) -> Outcome:
        team = lab.plan.team
        calls.append((team, until))
        install.ensure_secrets(work.home, work.site, lab)
        world.host.guest(f"{team}-{NODE}").write(chapter=until)
        folder = work.home.lab(team)
        record = folder.load()
        assert record is not None
        folder.save(replace(record, reached=install._reached(record, until)))
        folder.append(install.JOURNAL, json.dumps([f"{NODE}:{until}", {NODE: 0}]) + "\n")
        return Outcome(steps=1, changed=(f"{NODE}: {until}",))

    monkeypatch.setattr(install, "proceed", proceed)
    return calls


def captured(world: World, until: str | None = "glance") -> GoldenManifest:
    world.create("red", named="allinone")
    return capture.capture(world.work(), "red", until=until)


def catch_up(world: World, team: str, to: str = "glance") -> GoldenManifest:
    return catchup.catch_up(world.work(), team, to)


def test_a_stage_after_a_chapter_has_a_name() -> None:
    assert stage_of("after:glance") == ("bare", "glance")
    assert stage_of("installed") == ("installed", "")
    assert [stage_name("bare", "glance"), stage_name("bare", "")] == ["after:glance", "bare"]


def test_a_bare_lab_is_installed_up_to_a_chapter_and_captured(world: World, installer: list[Any]) -> None:
    made = captured(world)
    assert installer == [("red", "glance")]
    assert (made.name, made.stage_name) == ("allinone-after-glance", "after:glance")
    assert made.secrets
    assert made.done == (f"{NODE}:glance",)
    assert any("Glance answers" in each for each in made.probes)
    assert not any("nova" in each for each in made.probes)


def test_a_lab_that_stands_after_a_chapter_is_captured_as_it_stands(world: World, installer: list[Any]) -> None:
    world.create("red", named="allinone")
    install.proceed(world.work(), _lab(world, "red"), until="keystone")
    assert world.capture("red").stage_name == "after:keystone"
    assert len(installer) == 1


def test_a_lab_that_is_past_a_chapter_is_not_captured_for_it(world: World) -> None:
    captured(world, "glance")
    with pytest.raises(RefusedError, match="the lab of red is past keystone: it stands at stage after:glance"):
        capture.capture(world.work(), "red", until="keystone")


def test_a_bare_lab_is_not_forked_from_a_chapter(world: World) -> None:
    captured(world)
    world.create("green", named="allinone")
    assert world.record("green").golden == ""


def test_a_lab_is_made_after_a_chapter_from_memory(world: World, installer: list[Any]) -> None:
    made = captured(world)
    rollout.roll_out(world.work(), ["green"], Choice(topology=ONE, chapter="glance"), Starting())
    record = world.record("green")
    assert (record.golden, record.stage_name, record.reached, record.stands) == (
        made.id,
        "after:glance",
        "glance",
        True,
    )
    assert boot(world, "green") == boot(world, "red")
    assert len(installer) == 1
    assert passwords.load(world.home.lab("green")) == made.secrets


def test_without_a_set_one_lab_is_installed_up_to_the_chapter_and_the_others_are_forked(
    world: World, installer: list[Any]
) -> None:
    world.image("openstack")
    world.image("openstack-medium")
    rollout.roll_out(world.work(), ["red", "green"], Choice(topology=ONE, chapter="glance"), Starting())
    assert installer == [("red", "glance")]
    (made,) = store.golden(world.site()).every()
    assert made.stage_name == "after:glance"
    assert world.host.guest(f"green-{NODE}").disk["chapter"] == "glance"
    assert [world.record(team).reached for team in ("red", "green")] == ["glance", "glance"]


def test_a_chapter_needs_the_medium_of_the_clouds_image(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout.os, "geteuid", lambda: 0)
    world.image("openstack")
    choice = Choice(topology=ONE, chapter="glance")
    assert rollout.planned(world.work(), ["red"], choice, Starting(), once=True).images == ("openstack",)
    world.image("openstack-medium")
    assert rollout.planned(world.work(), ["red"], choice, Starting(), once=True).images == ()


def test_there_is_no_chapter_about_what_no_node_does(world: World) -> None:
    choice = Choice(topology=ONE, chapter="swift")
    with pytest.raises(InputError, match="no node of topology allinone has the role swift"):
        rollout.roll_out(world.work(), ["red"], choice, Starting())


def test_a_node_of_a_chapters_lab_is_reset_to_it_from_memory(world: World, installer: list[Any]) -> None:
    captured(world)
    world.host.guest(f"red-{NODE}").write(learner=True)
    before = boot(world, "red")
    world.reset("red", str(NODE))
    assert boot(world, "red") == before
    assert disk(world, "red") == {"chapter": "glance"}
    assert world.record("red").reached == "glance"
    assert len(installer) == 1
    with pytest.raises(InputError, match="made at stage after:glance"):
        world.reset("red", str(NODE), stage="bare")


def test_a_team_catches_up_from_memory(world: World, installer: list[Any]) -> None:
    made = captured(world)
    world.create("green", named="allinone")
    install.proceed(world.work(), _lab(world, "green"), until="keystone")
    own = passwords.load(world.home.lab("green"))
    before, key = world.record("green"), world.home.lab("green").read("id_ed25519")
    assert catch_up(world, "green") == made
    after = world.record("green")
    assert boot(world, "green") == boot(world, "red")
    assert disk(world, "green") == {"chapter": "glance"}
    assert (after.stage_name, after.reached, after.golden, after.inherits) == ("after:glance", "glance", made.id, False)
    assert (after.lab, after.mgmt, world.home.lab("green").read("id_ed25519")) == (before.lab, before.mgmt, key)
    assert passwords.load(world.home.lab("green")) == made.secrets != own
    assert (world.home.lab("green").read(install.JOURNAL) or "").count("\n") == len(made.done)
    assert world.status("green").nodes[0].ready
    assert installer == [("red", "glance"), ("green", "keystone")]


def test_a_captured_lab_catches_up_too_and_is_reset_to_the_chapter_then(world: World) -> None:
    glance = captured(world, "glance")
    later = capture.capture(world.work(), "red", until="nova")
    assert later.stage_name == "after:nova"
    catch_up(world, "red", "glance")
    assert (world.record("red").golden, world.record("red").captured) == (glance.id, "")
    world.reset("red", str(NODE))
    assert disk(world, "red") == {"chapter": "glance"}
    assert len(store.golden(world.site()).every()) == 2


def test_what_a_team_keeps_and_loses_is_said_before(world: World) -> None:
    made = captured(world)
    world.create("green", named="allinone")
    said = "\n".join(catchup.said(world.site(), world.record("green"), made))
    assert said.startswith(
        "green is at stage bare. It is taken to stage after:glance: golden set allinone-after-glance"
    )
    assert "It keeps its addresses" in said
    assert "It loses all that was done on" in said


def test_where_there_is_no_set_of_a_chapter_it_is_said_how_to_make_one(world: World) -> None:
    captured(world)
    before = world.inventory()
    with pytest.raises(InputError, match="no golden set with memory of topology allinone, stage after:nova") as caught:
        catch_up(world, "red", "nova")
    assert caught.value.remedy.endswith("labctl golden capture TEAM --until nova")
    assert world.inventory() == before


def test_a_lab_that_caught_up_goes_back_to_a_snapshot_from_before(world: World) -> None:
    captured(world)
    world.create("green", named="allinone")
    install.proceed(world.work(), _lab(world, "green"), until="keystone")
    own = passwords.load(world.home.lab("green"))
    world.snapshot("green", "lunch")
    catch_up(world, "green")
    world.restore("green", "lunch")
    assert passwords.load(world.home.lab("green")) == own
    assert disk(world, "green") == {"chapter": "keystone"}
    assert world.record("green").stage_name == "bare"


@pytest.mark.parametrize("moment", [f"before: undefine domain green-{NODE}", "before: restore a domain's memory"])
def test_a_catch_up_that_was_killed_is_finished_by_create(world: World, moment: str) -> None:
    made = captured(world)
    world.create("green", named="allinone")
    passwords.save(world.home.lab("green"), passwords.complete({}, world.plan("green")))
    died(world, moment, lambda: catch_up(world, "green"))
    world.create("green", named=None)
    assert world.record("green").stage_name == "after:glance"
    assert passwords.load(world.home.lab("green")) == made.secrets
    assert boot(world, "green") == boot(world, "red")


def test_an_installation_of_one_chapter_less_changes_nothing_about_where_a_lab_stands(world: World) -> None:
    captured(world, "glance")
    install.proceed(world.work(), _lab(world, "red"), until="keystone")
    assert world.record("red").reached == "glance"


def test_a_reset_node_of_a_bare_lab_takes_its_chapter_back(world: World) -> None:
    world.create("red", named="allinone")
    Ledger(world.home.lab("red"), world.record("red")).change(reached="glance")
    world.reset("red", str(NODE))
    assert world.record("red").reached == ""


def boot(world: World, team: str) -> object:
    return world.host.guest(f"{team}-{NODE}").memory["boot"]


def disk(world: World, team: str) -> dict[str, Any]:
    """Return what was written onto a lab's disk."""
    return {key: value for key, value in world.host.guest(f"{team}-{NODE}").disk.items() if key != "writes"}


def _lab(world: World, team: str) -> Lab:
    return Lab(plan=world.plan(team), record=world.record(team))
