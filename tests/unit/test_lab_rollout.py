"""Many labs from one boot, and what a host lacks for new labs; a captured lab is reset to its own capture."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from labctl.errors import CapacityError, DeadlineError, HypervisorError, InputError, LockedError
from labctl.lab import images, inside, install, reach, rollout
from labctl.lab.create import Created
from labctl.lab.decisions import Choice, Starting
from labctl.sets import store
from labctl.site.together import GroupError
from labctl.spec import topology
from tests.unit.fake_site import World, died

TEAMS = ["team01", "team02", "team03"]
MINI = Choice(topology=topology.load("mini"))


def roll_out(world: World, teams: list[str], choice: Choice = MINI, **options: Any) -> list[Created]:
    return rollout.roll_out(world.work(), teams, choice, Starting(), **options)


def boots(world: World, teams: list[str]) -> set[str]:
    """Return which boots the first nodes of these labs go on from."""
    return {world.host.guest(f"{team}-node-1").memory["boot"] for team in teams}


def test_of_many_new_labs_one_boots_and_the_others_are_forked_from_it(world: World) -> None:
    created = roll_out(world, TEAMS)
    assert [lab.team for lab in created] == TEAMS
    (made,) = store.golden(world.site()).every()
    assert [world.record(team).golden for team in TEAMS] == ["", made.id, made.id]
    assert len(boots(world, TEAMS)) == 1
    assert all(node.ready for team in TEAMS for node in world.status(team).nodes)
    assert any("team01 boots and is captured; then 2 labs are forked from it" in said for said in world.notes.said)


@pytest.mark.parametrize(("choice", "once"), [(replace(MINI, cold=True), True), (MINI, False)])
def test_all_labs_boot_where_that_is_wanted(world: World, choice: Choice, once: bool) -> None:
    roll_out(world, TEAMS, choice, once=once)
    assert store.golden(world.site()).every() == []
    assert len(boots(world, TEAMS)) == 3


def test_a_set_with_memory_that_is_there_is_used(world: World) -> None:
    world.create("red")
    made = world.capture("red")
    roll_out(world, TEAMS)
    assert store.golden(world.site()).every() == [made]
    assert {world.record(team).golden for team in TEAMS} == {made.id}


def test_an_image_that_lacks_packages_of_a_topologys_roles_is_built_again_with_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[tuple[str, ...]] = []

    def build(work: Any, name: str, *, mirror: str | None, extras: tuple[str, ...]) -> None:
        built.append((name, *extras))
        world.image(name, extras=(*extras,))

    monkeypatch.setattr(images, "build", build)
    monkeypatch.setattr(rollout.os, "geteuid", lambda: 0)
    monkeypatch.setattr(rollout.bake, "bake", lambda *_: None)
    world.image("openstack", extras=("backup",))
    choice = Choice(topology=topology.load("icehouse"), stage="installed")
    steps = rollout.planned(world.work(), ["team01"], choice, Starting(), once=True)
    assert steps.remarks("icehouse")[0].startswith(
        "image openstack with backup, ceph, heat, heat-dashboard, swift, telemetry is missing: it is built"
    )
    rollout._supply(world.work(), topology.load("icehouse"), steps)
    assert built == [("openstack", "backup", "ceph", "heat", "heat-dashboard", "swift", "telemetry")]
    again = rollout.planned(world.work(), ["team01"], choice, Starting(), once=True)
    assert again.images == ()


def test_a_cloud_is_not_made_from_an_image_that_lacks_packages_of_its_roles(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout.os, "geteuid", lambda: 1000)  # who is not root cannot build
    world.image("openstack")
    choice = Choice(topology=topology.load("icehouse"), stage="installed")
    with pytest.raises(InputError, match="image openstack lacks the packages of: ceph, heat, heat-dashboard") as caught:
        roll_out(world, ["team01"], choice)
    assert (
        caught.value.remedy
        == "labctl image build openstack --with ceph --with heat --with heat-dashboard --with swift --with telemetry"
    )
    assert world.work().home.lab("team01").load() is None


def test_nothing_is_installed_from_a_medium_that_lacks_packages_of_the_roles(world: World) -> None:
    world.image("openstack-medium", extras=("backup",))
    roll_out(world, ["team01"], Choice(topology=topology.load("grizzly")), once=False)
    with pytest.raises(
        InputError, match="image openstack-medium lacks the packages of: designate, munin, swift"
    ) as caught:
        install.install(world.work(), "team01", until=None, only=None)
    assert (
        caught.value.remedy == "labctl image build openstack --with backup --with designate --with munin --with swift"
    )


def test_one_new_lab_is_not_captured(world: World) -> None:
    roll_out(world, ["team01"])
    assert store.golden(world.site()).every() == []


def test_an_interrupted_run_goes_on(world: World) -> None:
    for moment in (
        "before: start domain team01-node-2",
        "before: save the memory of domain team01-node-1",
        "before: resume domain team03-node-1",
    ):
        died(world, moment, lambda: roll_out(world, TEAMS))
    roll_out(world, TEAMS)
    assert all(node.ready for team in TEAMS for node in world.status(team).nodes)
    assert len(store.golden(world.site()).every()) == 1


@pytest.mark.parametrize(
    "moment", ["before: save the memory of domain team01-node-1", "before: suspend domain team01-node-2"]
)
def test_a_capture_that_was_interrupted_is_made_again_of_the_same_lab(world: World, moment: str) -> None:
    died(world, moment, lambda: roll_out(world, TEAMS))
    roll_out(world, TEAMS)
    assert len(boots(world, TEAMS)) == 1
    assert not world.home.lab("team01").untouched


@pytest.mark.parametrize("way", ["ssh", "console", "dialer"])
def test_the_capture_is_made_of_another_lab_where_somebody_was_let_in_meanwhile(world: World, way: str) -> None:
    died(world, "before: suspend domain team01-node-2", lambda: roll_out(world, TEAMS))
    world.create("team01")  # it goes on
    assert world.home.lab("team01").untouched
    plan = world.plan("team01")
    if way == "ssh":
        reach.ssh(world.home, world.site(), plan, "node-1", [])
    elif way == "console":
        reach.console(world.home, world.site(), plan, "node-1")
    else:
        with inside.opened(world.home, world.site(), plan):
            pass
    roll_out(world, TEAMS)
    assert len(boots(world, TEAMS)) == 2
    assert world.record("team02").captured


def test_labs_are_forked_in_groups_that_suit_the_processors(world: World) -> None:
    world.host.cpus = 1  # for two labs of two nodes
    teams = [f"team{number:02}" for number in range(1, 7)]
    roll_out(world, teams)
    made = [said for said in world.notes.said if said.startswith("making ")]
    assert made == ["making team02, team03", "making team04, team05", "making team06"]
    assert len(boots(world, teams)) == 1


def test_one_fork_that_fails_does_not_stop_those_of_other_groups(world: World) -> None:
    world.host.cpus = 1
    with world.home.lock("lab", "team02"), pytest.raises(LockedError, match="team02"):
        roll_out(world, [f"team{number:02}" for number in range(1, 6)])
    assert all(node.ready for team in ("team04", "team05") for node in world.status(team).nodes)


@pytest.mark.parametrize("error", [CapacityError("full"), HypervisorError("no space left on device")])
def test_where_the_host_has_no_room_for_the_capture_the_others_boot(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: object) -> None:
        raise GroupError("red could not be saved", [error], remedy="")  # type: ignore[list-item]

    monkeypatch.setattr(rollout.capture, "capture", full)
    roll_out(world, TEAMS)
    assert len(boots(world, TEAMS)) == 3
    assert any("could not be captured, so the others boot, too" in said for said in world.notes.said)


def test_a_first_lab_that_does_not_work_is_no_source_of_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def red(*_: object) -> None:
        raise DeadlineError("Glance does not answer")

    monkeypatch.setattr(rollout.capture, "capture", red)
    with pytest.raises(DeadlineError):
        roll_out(world, TEAMS)
    assert world.home.lab("team02").load() is None


def test_a_run_waits_for_another_ones_first_lab_and_forks_it(world: World) -> None:
    digest = topology.load("mini").digest[:16]
    waiting, done = threading.Event(), list[Created]()
    say = world.notes.say

    def notice(text: str) -> None:
        say(text)
        if "waiting to fork it" in text:
            waiting.set()

    world.notes.say = notice  # type: ignore[method-assign]
    second = threading.Thread(target=lambda: done.extend(roll_out(world, TEAMS[1:])))
    with world.home.lock("origin", f"fake {digest} bare"):
        second.start()
        assert waiting.wait(10)
        world.create("team01")
        world.capture("team01")
    second.join(30)
    assert [lab.team for lab in done] == TEAMS[1:]
    assert len(boots(world, TEAMS)) == 1


def test_what_an_emulated_first_boot_takes_is_said(world: World) -> None:
    steps = rollout.planned(world.work(), TEAMS, MINI, Starting(), once=True)
    assert steps.remarks("mini")[-1].endswith("Emulated, that takes about 2 minutes. --cold boots all")


def test_a_lab_that_somebody_may_have_worked_in_is_not_what_others_are_forked_from(world: World) -> None:
    world.create("team01")
    roll_out(world, TEAMS)
    (made,) = store.golden(world.site()).every()
    assert [world.record(team).golden for team in TEAMS] == ["", "", made.id]
    assert world.record("team02").captured == made.id


def test_labs_that_do_not_fit_together_are_refused_before_the_first_one_boots(world: World) -> None:
    many = [f"team{number:02}" for number in range(1, 100)]
    with pytest.raises(CapacityError):
        roll_out(world, many)
    assert world.inventory()["domains"] == []


def test_an_image_that_is_missing_is_built_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.site().images.remove("debian-13")
    monkeypatch.setattr(images, "build", lambda work, name, **options: world.image(name))
    roll_out(world, ["team01"])
    assert any(said.startswith("image debian-13 is missing: it is built (about ") for said in world.notes.said)
    assert all(node.ready for node in world.status("team01").nodes)


def test_disks_of_a_cloud_that_are_missing_are_baked(world: World) -> None:
    world.image("openstack")
    steps = rollout.planned(
        world.work(), TEAMS, Choice(topology=topology.load("gridka"), stage="installed"), Starting(), once=True
    )
    assert (steps.images, steps.bake, steps.origin, steps.forks) == ((), True, "team01", ("team02", "team03"))


def test_who_is_not_root_is_promised_no_image_and_no_baked_disks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout.os, "geteuid", lambda: 1000)
    cloud = Choice(topology=topology.load("gridka"), stage="installed")
    steps = rollout.planned(world.work(), TEAMS, cloud, Starting(), once=True)
    assert (steps.images, steps.bake, steps.origin) == ((), False, "team01")


def test_a_node_of_a_captured_lab_is_reset_to_the_capture_from_memory(world: World) -> None:
    world.create("red")
    world.host.guest("red-node-1").write(golden=True)
    made = world.capture("red")
    before = boots(world, ["red"])
    world.host.guest("red-node-1").write(learner=True)
    world.reset("red", "node-1")
    assert boots(world, ["red"]) == before
    disk = world.host.guest("red-node-1").disk
    assert (disk.get("golden"), disk.get("learner")) == (True, None)
    assert (world.record("red").golden, world.record("red").captured) == ("", made.id)


def test_a_captured_lab_whose_set_was_removed_is_reset_as_it_was_made(world: World) -> None:
    world.create("red")
    made = world.capture("red")
    store.golden(world.site()).remove(made.id)
    before = boots(world, ["red"])
    world.reset("red", "node-1")
    assert boots(world, ["red"]) != before


def test_a_set_that_nodes_were_reset_to_is_in_use(world: World) -> None:
    world.create("red")
    first = world.capture("red")
    world.reset("red", "node-1")
    second = world.capture("red")
    assert {each.id for each in store.golden(world.site()).every()} == {first.id, second.id}
