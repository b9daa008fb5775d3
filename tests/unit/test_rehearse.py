"""Rehearsals on a fake host: GO where the day works, NO-GO with its reason where it does not, and nothing is left."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from labctl.cli.root import root
from labctl.errors import LabctlError, LockedError, RefusedError
from labctl.lab import check, destroy, rehearse, rollout, sabotage
from labctl.lab.decisions import Choice
from labctl.lab.rehearse import Day, Rehearsal, Step
from labctl.lab.sabotage import Ledger
from labctl.report import rehearsal as views
from labctl.rounds.points import score as scored
from labctl.sabotage.fault import FAULTS
from labctl.sabotage.ledger import State
from labctl.site import site
from labctl.site.work import Work
from labctl.spec import topology
from labctl.spec.scoring import Rules
from tests.unit.test_docs import complaint
from tests.unit.test_lab_rounds import BARE, Class, play  # noqa: F401 - a fixture

ONE, TWO = rehearse.names(2)


class School(Class):
    """Labs of a rehearsal; what is typed in a node mends what stands in its lab."""

    mends = True

    def rehearse(self, **changed: Any) -> Rehearsal:
        choice = Choice(topology=topology.load("mini"))
        day = {"choice": choice, "labs": 2, "teams": 2, "faults": 2, "seed": "monday", "rules": Rules(sustained=0)}
        return rehearse.rehearse(self.world.work(), Day(**day | changed))

    @contextlib.contextmanager
    def subject(self, work: Work, plan: Any) -> Iterator[Any]:
        def run(line: str, **_: Any) -> None:
            if self.mends:
                self.red[plan.team].clear()

        yield SimpleNamespace(lab=plan, guest=lambda node: SimpleNamespace(run=run))

    def heal(self, work: Work, team: str, *, quick: bool = False) -> tuple[list[Any], Any]:
        self.looks.append("quick" if quick else "full")
        book = Ledger(work.home.lab(team))
        for entry in book.open():
            book.save(replace(entry, state=State.HEALED))
        self.red[team].clear()
        return [], self.report(team)


@pytest.fixture
def school(play: Class, monkeypatch: pytest.MonkeyPatch) -> School:  # noqa: F811
    play.__class__ = School
    assert isinstance(play, School)
    play.red = defaultdict(set)
    monkeypatch.setattr(check, "subject", play.subject)
    monkeypatch.setattr(sabotage, "heal", play.heal)
    return play


def test_a_day_that_works_is_a_go_and_leaves_nothing(school: School) -> None:
    before = school.world.inventory()
    seen = school.rehearse()
    assert seen.reasons == ()
    assert seen.go
    assert school.world.inventory() == before
    names = [step.name for step in seen.steps]
    one_round = ["open", "hint", "report", "repair", "close", "score", "heal"]
    assert names == [
        *("capacity", "create", "check", "draw"),
        *one_round,
        *one_round,
        *("reset", "save", "restore", "check", "destroy", "leaks"),
    ]
    faults = {step.what.partition(", ")[2] for step in seen.steps if step.name == "open"}
    assert len(faults) == 2


def test_only_the_first_look_of_a_rehearsal_is_at_everything(school: School) -> None:
    school.rehearse(labs=1, faults=1)
    school.rehearse(labs=1, faults=1, quick=True)
    assert school.looks == ["full", "quick", "quick"] + ["quick"] * 3


def test_the_same_seed_rehearses_the_same_faults(school: School) -> None:
    first, second, other = (
        [step.what for step in school.rehearse(seed=seed, faults=5).steps if step.name == "open"]
        for seed in ("monday", "monday", "tuesday")
    )
    assert first == second != other


def test_too_little_memory_for_all_teams_is_no_go_and_nothing_is_made(school: School) -> None:
    before = school.world.inventory()
    seen = school.rehearse(teams=99)
    assert [step.name for step in seen.steps] == ["capacity"]
    assert "capacity: the host has not enough memory" in seen.reasons[0]
    assert "too little memory:" in seen.reasons[0]
    assert school.world.inventory() == before


def test_room_is_looked_for_again_when_what_labs_are_made_from_had_to_be_built(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = rollout.planned, []

    def planned(*words: Any, **options: Any) -> Any:
        asked.append(words)
        return rollout.Rollout(images=("debian-13",)) if len(asked) == 1 else real(*words, **options)

    monkeypatch.setattr(rollout, "planned", planned)
    seen = school.rehearse(teams=99)
    assert [step.name for step in seen.steps] == ["capacity", "create", "capacity", "destroy", "leaks"]
    assert "too little memory" in seen.reasons[0]


def test_a_set_from_another_qemu_is_no_go_but_may_be_left_out(school: School) -> None:
    school.world.capture("red")
    assert school.rehearse(faults=0).forked
    school.world.host.qemu = (8, 0, 0)
    seen = school.rehearse(faults=0)
    (reason,) = seen.reasons
    assert reason.startswith("capacity: the memory of golden set mini-bare fits another machine: QEMU is 8.0.0 here")
    cold = school.rehearse(faults=0, choice=Choice(topology=topology.load("mini"), cold=True))
    assert (cold.go, cold.forked) == (True, False)


def test_a_check_that_is_red_from_the_start_is_no_go(school: School) -> None:
    before = school.world.inventory()
    school.red[TWO].add("B05")
    seen = school.rehearse()
    assert seen.reasons == (f"check: {TWO}: B05 is red from the start: node-1 it is wrong",)
    assert [step.name for step in seen.steps][-3:] == ["check", "destroy", "leaks"]
    assert school.world.inventory() == before


def test_a_repair_that_does_not_score_is_no_go(school: School) -> None:
    school.mends = False
    seen = school.rehearse(faults=1, labs=1)
    (reason,) = seen.reasons
    assert re.fullmatch(rf"score round 1, .*: {ONE}: \S+ does not score as it should: repair, lasting", reason)


def test_a_lab_that_nobody_mended_must_not_score(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    def generous(events: Any, rules: Rules, **_: Any) -> Any:
        score = scored(events, rules)
        assert score is not None
        return replace(score, faults=tuple(replace(each, repair=each.base * 40 // 100) for each in score.faults))

    monkeypatch.setattr("labctl.lab.rounds.points.score", generous)
    (reason,) = school.rehearse(faults=1).reasons
    assert f"{TWO}: " in reason
    assert reason.endswith("does not score as it should: repair")


def test_a_repair_by_the_book_that_does_not_last_is_no_go(school: School) -> None:
    school.breaks_at_restart = set(BARE)
    (reason,) = school.rehearse(faults=1, labs=1).reasons
    assert reason.endswith("does not score as it should: lasting")


def test_a_fault_that_cannot_be_injected_is_named_and_the_day_goes_on(school: School) -> None:
    first = next(step.what for step in school.rehearse(faults=1).steps if step.name == "open").partition(", ")[2]
    school.stubborn.add(first)
    seen = school.rehearse(faults=2)
    assert len(seen.reasons) == 1
    assert first in seen.reasons[0]
    assert "a node was lost" in seen.reasons[0]
    assert [step.name for step in seen.steps].count("score") == 1


def test_few_faults_come_again_in_turn(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.lab.rehearse.draw.candidates", lambda _: [FAULTS["BA-05"], FAULTS["BA-13"]])
    opened = [step.what.partition(", ")[2] for step in school.rehearse(faults=3).steps if step.name == "open"]
    assert sorted(opened[:2]) == ["BA-05", "BA-13"]
    assert opened[2] == opened[0]


def test_a_lab_for_which_no_fault_can_be_drawn_is_no_go(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.lab.rehearse.draw.candidates", lambda _: [])
    assert school.rehearse().reasons == ("draw: no fault can be drawn for a lab of mini at stage bare",)


def test_an_interrupt_removes_the_labs(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    before = school.world.inventory()

    def interrupted(work: Work, team: str, *, quick: bool) -> Any:
        work.cancelled.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "check", interrupted)
    with pytest.raises(KeyboardInterrupt):
        school.rehearse()
    assert school.world.inventory() == before


def test_what_a_killed_rehearsal_left_is_removed_by_the_next(school: School) -> None:
    before = school.world.inventory()
    for team in (ONE, rehearse.names(5)[-1]):
        school.world.create(team)
        school.world.home.lab(team).write(rehearse.MARK, "")
    school.world.home.lab(TWO).write(rehearse.MARK, "")  # killed before its record was written
    assert school.rehearse(faults=0).go
    assert school.world.inventory() == before


def test_a_team_s_lab_is_never_taken_for_a_rehearsal_s(school: School) -> None:
    school.world.create(TWO)
    before = school.world.inventory()
    with pytest.raises(RefusedError, match="no rehearsal's"):
        school.rehearse()
    assert school.world.inventory() == before


def test_what_is_left_of_the_labs_is_named(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = destroy.destroy

    def careless(work: Work, team: str) -> None:
        disk = next(path for path in school.world.host.files if path.endswith(f"/{team}-node-1.qcow2"))
        content = school.world.host.files[disk]
        whole(work, team)
        school.world.host.files[disk] = content

    monkeypatch.setattr(destroy, "destroy", careless)
    seen = school.rehearse(faults=0, labs=1)
    assert any("leaks: the rehearsal has left volume rehearsal-01-" in reason for reason in seen.reasons)


def test_two_rehearsals_do_not_meet(school: School) -> None:
    with school.world.home.lock("home", "rehearsal"), pytest.raises(LockedError):
        school.rehearse()


# -- what is shown ------------------------------------------------------------------------------------------------


def went(**changed: Any) -> Rehearsal:
    seconds = {"create": 100.0, "check": 50.0, "open": 130.0, "close": 70.0, "heal": 20.0, "reset": 9.0, "destroy": 5.0}
    steps = tuple(Step(name=name, seconds=took) for name, took in seconds.items())
    day = {"labs": 2, "teams": 10, "faults": 3, "seed": "s", "choice": Choice(topology=topology.load("mini"))}
    values = {"topology": "mini", "host": "local", "virt": "qemu", "forked": True, "steps": steps}
    return Rehearsal(**values, day=Day(**day | changed))


def test_a_runbook_leaves_no_minute_out_and_no_two_things_meet() -> None:
    lines = views.runbook(went())
    assert all(after.at == line.at + line.minutes for line, after in itertools.pairwise(lines))
    assert any(line.at == 0 and "Welcome" in line.what for line in lines)
    assert sum("is played" in line.what for line in lines) == 3
    assert sum("Lunch" in line.what for line in lines) == 1


def test_a_runbook_counts_more_teams_than_were_rehearsed() -> None:
    two, ten = (
        next(line.minutes for line in views.runbook(went(teams=teams)) if "is opened" in line.what) for teams in (2, 10)
    )
    assert (two, ten) == (3, 11)


def test_a_runbook_is_told_by_the_clock() -> None:
    text = views.markdown(went(), datetime(2026, 11, 26, 9, 0))
    assert "| 09:00 | 15 | Welcome." in text
    assert "| Hands off. Round 1 is opened" in text.replace("| 11 |", "|")
    assert "forked from a golden set" in text


def test_a_runbook_names_rules_of_one_s_own() -> None:
    told = [command for line in views.runbook(went(rules=Rules(drill=1))) for command in line.commands]
    assert "labctl round open team01..team10 --random --minutes 45 --rules rules.yaml" in told


def test_every_command_of_a_runbook_parses() -> None:
    commands = [command for line in views.runbook(went()) for command in line.commands]
    commands += [command for _, command, _ in views.rescue(went())]
    assert {complaint(command.partition(" > ")[0]) for command in commands} == {""}


def test_the_page_has_all_lines_and_loads_nothing() -> None:
    page = views.page(went(), datetime(2026, 11, 26, 9, 0))
    assert page.count("☐") == len(views.runbook(went()))
    assert not re.search(r"\b(src|href)=", page)


def labctl(*words: str) -> Result:
    return CliRunner().invoke(root, ["rehearse", *words], standalone_mode=False)


def test_the_command_says_go_and_writes_the_runbook(
    school: School, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(site, "opened", lambda *_, **__: contextlib.nullcontext(school.world.site()))
    done = labctl("mini", "--faults", "0", "-o", "json", "-q", "--runbook", str(tmp_path / "out"))
    said = json.loads(done.stdout)
    assert (said["verdict"], done.return_value) == ("GO", 0)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["runbook.html", "runbook.md"]


def test_a_no_go_exits_with_1_and_writes_none(school: School, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(site, "opened", lambda *_, **__: contextlib.nullcontext(school.world.site()))
    done = labctl("mini", "--class", "99", "--runbook", str(tmp_path / "out"))
    assert "NO-GO for 99 teams" in done.output
    assert done.return_value == 1
    assert not (tmp_path / "out").exists()
    assert isinstance(labctl("mini", "--start", "noon").exception, LabctlError)
