"""Labs that wait: forks that are ready and paused, until a team takes one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labctl.door import menu
from labctl.errors import InputError
from labctl.hypervisor import State
from labctl.lab import orphans, rollout, standby
from labctl.lab.create import Created
from labctl.lab.decisions import Choice, Starting
from labctl.lab.standby import Pool
from labctl.report import inventory, logins
from labctl.sets import store
from labctl.site.progress import Phase
from labctl.spec import topology
from tests.unit.fake_site import HOST_KEY, World, died

MINI = Choice(topology=topology.load("mini"))
WAITING = "standby-01"


@pytest.fixture
def forkable(world: World) -> World:
    """Return an installation with a golden set that has memory."""
    world.create("red")
    world.capture("red")
    return world


def keep(world: World, number: int) -> Pool:
    return standby.keep(world.work(), number, MINI, Starting())


def roll_out(world: World, *teams: str, **options: Any) -> list[Created]:
    return rollout.roll_out(world.work(), teams, MINI, Starting(), **options)


def states(world: World, name: str) -> set[State]:
    return {domain.state for domain in world.host.domains.values() if domain.name.startswith(f"{name}-")}


def test_labs_wait_ready_and_paused(forkable: World) -> None:
    assert keep(forkable, 2) == Pool(waiting=("standby-01", "standby-02"), made=("standby-01", "standby-02"))
    for name in ("standby-01", "standby-02"):
        assert states(forkable, name) == {State.PAUSED}
        assert forkable.record(name).waits
        assert set(forkable.record(name).ready) == {"node-1", "node-2"}


def test_a_team_takes_a_lab_that_waits(forkable: World) -> None:
    keep(forkable, 1)
    waiting = forkable.record(WAITING)
    key = forkable.home.lab(WAITING).read("id_ed25519")
    (created,) = roll_out(forkable, "green")
    record = forkable.record("green")
    assert (created.made, created.resumed, created.off) == ((), ("node-1", "node-2"), ())
    assert (record.lab, record.mgmt, record.label, record.standby) == (waiting.lab, waiting.mgmt, WAITING, False)
    assert forkable.home.lab("green").read("id_ed25519") == key
    assert not forkable.home.lab(WAITING).path.exists()
    assert states(forkable, WAITING) == {State.RUNNING}
    assert all(node.ready for node in forkable.status("green").nodes)
    assert "green takes standby-01, which waits" in forkable.notes.said
    assert ("green", "node-1", Phase.BOOTING) not in forkable.notes.phases


def test_teams_that_find_no_lab_waiting_are_forked(forkable: World) -> None:
    keep(forkable, 1)
    roll_out(forkable, "green", "blue")
    assert [forkable.record(team).label for team in ("green", "blue")] == [WAITING, ""]
    assert all(node.ready for team in ("green", "blue") for node in forkable.status(team).nodes)


def test_the_pool_is_filled_up_and_emptied(forkable: World) -> None:
    keep(forkable, 2)
    roll_out(forkable, "green")
    assert keep(forkable, 2) == Pool(waiting=("standby-02", "standby-03"), made=("standby-03",))
    pool = keep(forkable, 0)
    assert (pool.waiting, len(pool.removed)) == ((), 2)
    assert forkable.status("green").nodes[0].ready


def test_a_lab_that_was_taken_is_one_like_any_other(forkable: World) -> None:
    keep(forkable, 1)
    roll_out(forkable, "green")
    forkable.host.guest(f"{WAITING}-node-1").write(ruined=True)
    forkable.reset("green", "node-1")
    assert "ruined" not in forkable.host.guest(f"{WAITING}-node-1").disk
    forkable.stop("green")
    forkable.start("green")
    forkable.snapshot("green", "lunch")
    forkable.restore("green", "lunch")
    assert all(node.ready for node in forkable.status("green").nodes)
    forkable.destroy("green")
    assert states(forkable, WAITING) == set()


def test_the_nodes_of_a_lab_that_was_taken_have_the_teams_name_for_people(forkable: World) -> None:
    keep(forkable, 1)
    roll_out(forkable, "green")
    plan = forkable.plan("green")
    keys = logins.Keys(private="/key", known_hosts="/known")
    assert [each.alias for each in logins.direct(plan, keys, ["carry"])] == ["green-node-1", "green-node-2"]
    assert "standby" not in inventory.hosts([plan])
    assert menu.node_of(plan, "green-node-2") == "node-2"
    assert "green-node-1" in (forkable.home.lab("green").read("known_hosts") or "")
    assert plan.node("node-1").team == "green"


def test_a_new_name_is_not_that_of_a_lab_that_was_taken(forkable: World) -> None:
    keep(forkable, 1)
    roll_out(forkable, "green")
    assert keep(forkable, 1).waiting == ("standby-02",)


@pytest.mark.parametrize(
    "moment",
    [
        f"before: resume domain {WAITING}-node-1",
        f"after: resume domain {WAITING}-node-1",
        f"before: run a command in {WAITING}-node-2",
    ],
)
def test_a_take_that_was_killed_goes_on(forkable: World, moment: str) -> None:
    keep(forkable, 1)
    died(forkable, moment, lambda: roll_out(forkable, "green"))
    roll_out(forkable, "green")
    assert all(node.ready for node in forkable.status("green").nodes)
    assert not forkable.record("green").standby
    assert len([record for record in forkable.home.records() if record.team != "red"]) == 1


@pytest.mark.parametrize(
    "moment", [f"before: suspend domain {WAITING}-node-2", f"before: resume domain {WAITING}-node-2"]
)
def test_a_pool_that_was_not_finished_is_finished_by_the_same_command(forkable: World, moment: str) -> None:
    died(forkable, moment, lambda: keep(forkable, 1))
    assert keep(forkable, 1).waiting == (WAITING,)
    assert states(forkable, WAITING) == {State.PAUSED}
    roll_out(forkable, "green")
    assert forkable.record("green").label == WAITING


def test_a_lab_that_went_off_is_not_taken_and_made_anew_by_standby(forkable: World) -> None:
    keep(forkable, 1)
    forkable.host.restart()
    roll_out(forkable, "green")
    assert forkable.record("green").label == ""
    assert keep(forkable, 1) == Pool(waiting=(WAITING,), made=(WAITING,))
    assert states(forkable, WAITING) == {State.PAUSED}
    roll_out(forkable, "blue")
    assert forkable.record("blue").label == WAITING


def test_a_lab_of_an_older_set_is_not_taken(forkable: World) -> None:
    keep(forkable, 1)
    forkable.capture("red", "newer")
    roll_out(forkable, "green")
    assert forkable.record("green").label == ""


def test_who_fills_the_pool_is_told_of_labs_of_an_older_set(forkable: World) -> None:
    keep(forkable, 1)
    forkable.capture("red", "newer")
    assert keep(forkable, 1).waiting == ("standby-02",)
    assert (
        f"{WAITING} waits for another golden set, so create leaves it: labctl destroy {WAITING}" in forkable.notes.said
    )


def test_the_whole_pool_is_emptied_whatever_its_labs_are_from(forkable: World) -> None:
    keep(forkable, 1)
    forkable.capture("red", "newer")
    keep(forkable, 1)
    assert standby.clear(forkable.work()) == Pool(waiting=(), removed=("standby-01", "standby-02"))
    assert standby.waiting(forkable.home, forkable.site()) == []
    assert forkable.status("red").nodes[0].ready


def test_a_team_that_has_something_on_record_takes_none(forkable: World) -> None:
    keep(forkable, 1)
    forkable.home.lab("green").write("access.json", "{}")
    roll_out(forkable, "green")
    assert forkable.record("green").label == ""


def test_a_lab_that_another_run_works_on_is_left_to_it(forkable: World) -> None:
    keep(forkable, 1)
    with forkable.home.lock("lab", WAITING):
        roll_out(forkable, "green")
    assert forkable.record("green").label == ""


def test_nothing_waits_without_a_set_with_memory(world: World) -> None:
    with pytest.raises(InputError, match="no golden set with memory for mini, stage bare"):
        keep(world, 1)


def test_who_wants_every_lab_made_takes_none(forkable: World) -> None:
    keep(forkable, 1)
    roll_out(forkable, "green", once=False)
    assert forkable.record("green").label == ""


def test_a_set_that_labs_wait_for_is_in_use(forkable: World) -> None:
    keep(forkable, 1)
    (golden,) = store.golden(forkable.site()).every()
    assert golden.id in store.in_use(forkable.home, forkable.site())


def test_a_lab_that_was_taken_is_found_without_its_record(forkable: World) -> None:
    keep(forkable, 1)
    roll_out(forkable, "green")
    volumes = set(forkable.record("green").volumes)
    (Path(forkable.home.lab("green").path) / "lab.json").unlink()
    (orphan,) = orphans.find(forkable.home, forkable.site())
    assert set(orphan.volumes) == {name for name in volumes if not name.endswith(".memory")}
    assert forkable.host.guest(f"{WAITING}-node-1").memory["files"][HOST_KEY]
