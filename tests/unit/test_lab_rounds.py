"""Rounds that are played on fake labs: opened for all at once, reported, hinted, scored, frozen, closed, replayed."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from click.testing import Result as Said

from labctl import checks as check_room
from labctl.checks import patterns
from labctl.checks.check import CHECKS, chosen
from labctl.checks.model import Report, Result, Step, Verdict
from labctl.cli.root import root
from labctl.errors import InputError, RefusedError, RemoteError
from labctl.lab import check, closing, events, many, opening, rounds, sabotage
from labctl.lab.opening import Setup
from labctl.lab.rounds import Diagnosis
from labctl.lab.sabotage import Ledger
from labctl.plan.lab import plan as planned
from labctl.rounds.events import Checked, HintTaken, Injected, Opened, Reported, Restarted
from labctl.sabotage import draw
from labctl.sabotage.draw import Lot
from labctl.sabotage.fault import FAULTS, Scene
from labctl.sabotage.ledger import Entry, State
from labctl.site.together import GroupError
from labctl.site.work import Work
from labctl.spec import topology
from labctl.spec.scoring import Rules
from labctl.state import records
from tests.unit.conftest import _identity
from tests.unit.fake_site import World

BARE = [each.id for each in CHECKS if "bare" in each.stages]
QUICK = Rules(sustained=0)


CHECK_FILES = sorted(Path(check_room.__file__).parent.glob("[bcx]*.py"))


def literals(file: Path) -> list[str]:
    """Return the suspects that a file of checks names outright."""
    return sorted(set(re.findall(r'suspect="([^"{]+)"', file.read_text())))


class Patience(threading.Event):
    """An interrupt that never comes, and that nobody really waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waited.append(timeout)
        return False


@dataclass
class Class:
    """Two labs, red and blue, whose checks and faults are told what to say.

    Attributes:
        red: lab to the checks that are red in it now.
        stubborn: faults that do what they say in no lab.
        blocked: checks that are blocked while they are not red.
        looks: quick or full, for each run of checks outside of rounds.
        restarted: entries of the ledger whose units were restarted.
        breaks_at_restart: checks that turn red then.
    """

    world: World
    red: dict[str, set[str]] = field(default_factory=lambda: {"red": set(), "blue": set()})
    stubborn: set[str] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)
    looks: list[str] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    breaks_at_restart: set[str] = field(default_factory=set)
    patience: Patience = field(default_factory=Patience)
    time: Iterator[float] = field(default_factory=lambda: iter(range(2_000_000_000, 3_000_000_000, 10)))

    def open(self, *, rules: Rules = QUICK, **options: Any) -> list[rounds.Seat]:
        setup = Setup(teams=("red", "blue"), rules=rules, **({"ids": ("BA-02",)} | options))
        return opening.open_round(self.batch(), setup)

    def close(self, *players: str, checks: bool = True) -> None:
        some = rounds.going_on(self.world.home, players)
        closing.close(self.batch(), some, checks=checks)

    def look(self) -> None:
        closing.look(self.batch(), rounds.going_on(self.world.home))

    def batch(self) -> many.Batch:
        return many.Batch(home=self.world.home, progress=self.world.notes, cancelled=self.patience)

    def kinds(self, lab: str) -> list[str]:
        return [event.kind for event in events.every(self.world.home, lab)]

    def points(self, player: str) -> int:
        (seat,) = rounds.chosen(rounds.seats(self.world.home), [player])
        score = seat.score()
        assert score is not None
        return score.total

    def labctl(self, *arguments: str) -> Said:
        return CliRunner().invoke(root, arguments, standalone_mode=False)

    # -- what stands for guests ---------------------------------------------------------------------------------

    def report(self, team: str, ids: Sequence[str] = ()) -> Report:
        results = tuple(
            Result(
                id=each,
                verdict=Verdict.FAIL
                if each in self.red[team]
                else Verdict.BLOCKED
                if each in self.blocked
                else Verdict.PASS,
                steps=(
                    Step(
                        name="look",
                        evidence="it is wrong",
                        node="node-1",
                        suspect=f"{each.lower()}.service",
                        verdict=Verdict.FAIL if each in self.red[team] else Verdict.PASS,
                    ),
                ),
                seconds=0,
                limit=1,
            )
            for each in ids or BARE
        )
        return Report(
            run="1", lab=team, topology="mini", mode="full", started="", seconds=0, results=results, frontier=()
        )

    def check(self, work: Work, team: str, *, quick: bool = False) -> Report:
        self.looks.append("quick" if quick else "full")
        return self.report(team)

    def inject(self, work: Work, lot: Lot) -> Entry:
        home = work.home
        if lot.order[0].id in self.stubborn:
            raise RemoteError(f"{lot.team}: a node was lost")
        with records.locked(home, [lot.team]):
            scene = sabotage.Scene(lab=self.world.plan(lot.team))
            entry, _drawn = sabotage.prepare(scene, lot.order[0], lot)
            entry = replace(entry, node="node-1", state=State.INJECTED, symptoms={entry.red[0]: "it is red"})
            Ledger(home.lab(lot.team)).save(entry)
        self.red[lot.team].add(entry.red[0])
        return entry


@pytest.fixture
def play(world: World, monkeypatch: pytest.MonkeyPatch) -> Class:
    world.create("red", "blue")
    found = Class(world)

    @contextlib.contextmanager
    def opened(*_: object, **__: object) -> Iterator[Any]:
        yield world.site()

    @contextlib.contextmanager
    def subject(work: Work, plan: Any) -> Iterator[Any]:
        yield SimpleNamespace(lab=plan)

    def restart(entry: Entry) -> None:
        found.restarted.append(entry.fault)
        for red in found.red.values():
            red |= found.breaks_at_restart

    def run(lab: Any, checks: Sequence[Any], **_: Any) -> Report:
        return found.report(lab.lab.team, [each.id for each in checks])

    monkeypatch.setenv("LABCTL_HOME", str(world.home.root))
    monkeypatch.setattr(many.site, "opened", opened)
    monkeypatch.setattr(check, "check", found.check)
    monkeypatch.setattr(check, "subject", subject)
    monkeypatch.setattr(check, "run", run)
    monkeypatch.setattr(sabotage, "inject", found.inject)
    engine = SimpleNamespace(restart=restart)
    monkeypatch.setattr(closing, "engine_of", lambda *_: contextlib.nullcontext(engine))
    monkeypatch.setattr("labctl.lab.opening.time.time", lambda: next(found.time))
    return found


OPENING = ["round opened", "check run", "check run", "fault injected", "clock started"]


def test_a_round_on_a_cloud_boots_servers_only_where_its_faults_need_them(
    play: Class, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = SimpleNamespace(plan=replace(play.world.plan("red"), stage="installed"))
    monkeypatch.setattr(records, "lab_of", lambda *_: cloud)
    quick = {each.id for each in chosen("installed", quick=True)}
    seen = [
        {result.name for result in check.in_round(play.world.work(), "red", names).results}
        for names in ((), ("C10", "C03"))
    ]
    assert seen == [quick, quick | {"C10", "C10:fresh"}]
    assert "C10" not in quick


class TestOpen:
    def test_checks_come_first_then_faults_then_the_clock_of_all_at_once(self, play: Class) -> None:
        play.open()
        assert play.kinds("red") == play.kinds("blue") == OPENING
        begun = {event.at for lab in ("red", "blue") for event in events.every(play.world.home, lab)[-1:]}
        assert len(begun) == 1
        assert [run.baseline for run in of(play, "red", Checked)] == [True, False]

    def test_the_rules_are_written_down_as_they_were_announced(self, play: Class) -> None:
        play.open(rules=Rules(sustained=7, drill=40))
        assert all(seat.rules == Rules(sustained=7, drill=40) for seat in rounds.going_on(play.world.home))

    def test_what_a_check_blames_on_the_node_is_a_right_diagnosis_too(self, play: Class) -> None:
        play.open()
        (fault,) = of(play, "red", Injected)
        assert fault.red == ("B02",)
        assert fault.services == ("b02", "names")
        assert fault.nodes == ("node-1",)

    def test_a_fault_of_a_cloud_turns_parts_of_checks_red(self, play: Class) -> None:
        play.open()
        (entry,) = Ledger(play.world.home.lab("red")).entries()
        entry = replace(entry, red=("C03:glance", "C07"), green=("C03",), symptoms={"C03:glance": "HTTP 503"})
        said = {"C03:glance": Verdict.FAIL, "C03:nova": Verdict.PASS, "C07:upload": Verdict.FAIL, "C10": Verdict.PASS}
        results = tuple(
            Result(id=name[:3], part=name[4:], verdict=verdict, steps=(), seconds=0, limit=1)
            for name, verdict in said.items()
        )
        fault = opening._injected(play.world.home, "red", entry, replace(play.report("red"), results=results))
        assert fault.red == ("C03:glance", "C07:upload")
        assert fault.green == ("C03:glance", "C03:nova")
        verdicts = events.run_of(replace(play.report("red"), results=results), 1).verdicts
        assert verdicts == {name: str(verdict) for name, verdict in said.items()}

    def test_a_swap_gives_everybody_another_ones_lab(self, play: Class) -> None:
        assert {seat.player: seat.lab for seat in play.open(swap=True)} == {"red": "blue", "blue": "red"}

    def test_a_drill_breaks_nothing_and_looks_like_a_round(self, play: Class) -> None:
        play.open(ids=(), drill=True)
        assert play.red == {"red": set(), "blue": set()}
        assert play.kinds("red") == ["round opened", "check run", "clock started"]

    def test_a_drill_is_in_the_pool(self, play: Class) -> None:
        pool = [bool(opening.lots(play.world.home, Setup(teams=("red",), seed=str(seed)))) for seed in range(200)]
        assert 0 < pool.count(False) < 40

    def test_the_same_seed_gives_the_same_round(self, play: Class) -> None:
        setup = Setup(teams=("red", "blue"), count=2, seed="monday")
        assert opening.lots(play.world.home, setup) == opening.lots(play.world.home, setup)
        assert len(opening.lots(play.world.home, setup)) == 4

    def test_several_faults_are_numbered(self, play: Class) -> None:
        play.open(ids=("BA-02", "BA-13"))
        assert [(fault.slot, fault.fault) for fault in of(play, "blue", Injected)] == [(1, "BA-02"), (2, "BA-13")]

    def test_a_round_that_goes_on_is_not_opened_again(self, play: Class) -> None:
        play.open()
        with pytest.raises(RefusedError, match="a round goes on in the lab of red, blue"):
            play.open()

    def test_labs_in_which_something_stands_are_refused(self, play: Class) -> None:
        play.open()
        play.close(checks=False)
        with pytest.raises(RefusedError, match="something is broken in the lab of red, blue"):
            play.open()
        assert len(of(play, "red", Opened)) == 1

    def test_where_one_lab_cannot_be_broken_no_clock_starts(self, play: Class) -> None:
        play.stubborn = {"BA-02"}
        with pytest.raises(GroupError, match="not begun") as failed:
            play.open()
        assert "labctl round close red blue; labctl sabotage heal red blue" in failed.value.remedy
        assert {seat.state for seat in rounds.going_on(play.world.home)} == {"preparing"}
        play.close()
        assert play.kinds("red")[-1] == "closed"

    def test_sabotage_besides_the_round_is_refused(self, play: Class) -> None:
        play.open()
        assert isinstance(play.labctl("sabotage", "red", "--random").exception, RefusedError)


class TestReport:
    def test_it_is_noted_and_nobody_is_told_whether_it_is_right(self, play: Class) -> None:
        play.open()
        wrong = play.labctl("report", "red", "--suspect", "apt", "--node", "node-2", "--symptom", "b12")
        right = play.labctl("report", "red", "--suspect", "Names", "--node", "node-1", "--symptom", "B02")
        assert wrong.output == right.output == "red: noted.\n"
        assert [report.symptom for report in of(play, "red", Reported)] == ["B12", "B02"]
        assert play.points("red") == 20 + 30 - 10

    def test_it_is_of_the_lab_that_the_team_plays_on(self, play: Class) -> None:
        play.open(swap=True)
        play.labctl("report", "red", "--nothing")
        assert (of(play, "red", Reported), len(of(play, "blue", Reported))) == ([], 1)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--suspect", "tiem"], "service"),
            (["--node", "node-9"], "node-1, node-2"),
            (["--symptom", "B99"], "check"),
            ([], "what is broken"),
            (["--nothing", "--node", "node-1"], "what is broken"),
        ],
    )
    def test_a_slip_is_refused_and_costs_nothing(self, play: Class, words: list[str], said: str) -> None:
        play.open()
        refused = play.labctl("report", "red", *words).exception
        assert isinstance(refused, InputError)
        assert said in str(refused)
        assert of(play, "red", Reported) == []

    def test_who_does_not_play_reports_nothing(self, play: Class) -> None:
        assert isinstance(play.labctl("report", "red", "--nothing").exception, InputError)

    def test_all_that_checks_of_bare_labs_blame_can_be_named(self, play: Class) -> None:
        sources = (Path(check.__file__).parents[1] / "checks").glob("b[0-9]*.py")
        blamed = {word for path in sources for word in re.findall(r'suspect="([^"]+)"', path.read_text())}
        assert blamed
        assert blamed <= set(rounds.services(play.world.plan("red")))


class TestHints:
    def test_a_hint_has_its_price_and_is_paid_once(self, play: Class) -> None:
        play.open()
        (entry,) = Ledger(play.world.home.lab("red")).entries()
        said = play.labctl("hint", "red").output
        assert said == f"red: hint 1 for fault 1, 10 points: {entry.hints[0]}\n"
        assert play.labctl("sabotage", "hint", "red").output.startswith("red: hint 2 for fault 1, 20 points")
        assert [hint.number for hint in of(play, "red", HintTaken)] == [1, 2]
        assert Ledger(play.world.home.lab("red")).entries()[0].taken == 2

    def test_when_all_were_given_nothing_is_paid(self, play: Class) -> None:
        play.open()
        for _ in range(4):
            last = play.labctl("hint", "red").output
        assert last == "red: there is no hint left.\n"
        assert len(of(play, "red", HintTaken)) == 3

    def test_a_drill_has_hints_of_the_same_look(self, play: Class) -> None:
        play.open(ids=(), drill=True)
        assert re.match(r"red: hint 1 for fault 1, 10 points: ", play.labctl("hint", "red").output)

    def test_one_may_ask_about_one_of_several_faults(self, play: Class) -> None:
        play.open(ids=("BA-02", "BA-13"))
        play.labctl("hint", "red", "--fault", "2")
        assert [(hint.slot, hint.number) for hint in of(play, "red", HintTaken)] == [(2, 1)]


class TestClose:
    def test_a_repair_is_seen_twice_and_after_a_restart(self, play: Class) -> None:
        play.open(rules=Rules(sustained=10))
        play.red["red"].clear()
        play.close("red")
        assert play.kinds("red")[len(OPENING) :] == ["check run", "check run", "units restarted", "closed"]
        assert play.patience.waited == [10]
        assert play.restarted == ["BA-02"]

    def test_the_restart_is_worth_its_share(self, play: Class) -> None:
        play.open()
        play.red["red"].clear()
        play.red["blue"].clear()
        play.close("red")
        play.breaks_at_restart = {"B02"}
        play.close("blue")
        assert (play.points("red"), play.points("blue")) == (50, 40)
        assert [each.held for each in of(play, "blue", Restarted)] == [False]

    def test_what_was_not_green_before_the_restart_takes_nothing_from_a_repair_that_lasts(self, play: Class) -> None:
        """The restart runs fewer checks: what was blocked by a check that is left out is red then."""
        play.open()
        play.red["red"].clear()
        play.blocked, play.breaks_at_restart = {"B03"}, {"B03"}
        play.close("red")
        assert [each.held for each in of(play, "red", Restarted)] == [True]

    def test_what_is_red_is_neither_waited_for_nor_restarted(self, play: Class) -> None:
        play.open(rules=Rules(sustained=3600))
        play.close()
        assert play.kinds("red")[len(OPENING) :] == ["check run", "closed"]
        assert play.restarted == []

    def test_what_was_broken_on_the_way_costs(self, play: Class) -> None:
        play.open()
        play.red = {"red": {"B08"}, "blue": set()}
        play.close()
        assert (play.points("red"), play.points("blue")) == (0, 50)


class TestScore:
    def test_it_checks_first_unless_it_is_told_not_to(self, play: Class) -> None:
        play.open()
        before = play.kinds("red")
        assert play.labctl("score", "--no-check").exit_code == 0
        assert play.kinds("red") == before
        play.labctl("score")
        assert play.kinds("red") == [*before, "check run"]

    def test_a_replay_gives_the_same_points_and_others_under_other_rules(self, play: Class, tmp_path: Path) -> None:
        play.open()
        play.labctl("report", "red", "--suspect", "names", "--node", "node-1", "--symptom", "B02")
        play.red["red"].clear()
        play.close()
        first = play.labctl("score", "-o", "json").output
        assert json.loads(first)["teams"][0]["points"] == 100
        assert play.labctl("score", "--replay", "-o", "json").output == first
        file = tmp_path / "rules.yaml"
        file.write_text('{levels: {"1": 1000}, sustained: 0}\n')
        other = json.loads(play.labctl("score", "--replay", "--rules", str(file), "-o", "json").output)
        assert other["teams"][0]["points"] == 1000

    def test_rules_cannot_be_changed_while_it_is_scored(self, play: Class, tmp_path: Path) -> None:
        play.open()
        file = tmp_path / "rules.yaml"
        file.write_text("{}")
        assert isinstance(play.labctl("score", "--rules", str(file)).exception, InputError)

    def test_frozen_scores_stand_still_for_all_but_the_organiser(self, play: Class) -> None:
        play.open()
        home = play.world.home
        rounds.freeze(home, rounds.seats(home), 1 + max(event.at for event in events.every(home, "red")))
        play.red["red"].clear()
        play.close()
        assert shown(play, "organiser")["teams"][0]["points"] == 50
        assert {team["points"] for team in shown(play, "public")["teams"]} == {0}
        assert shown(play, "public")["frozen"]
        play.labctl("score", "--reveal")
        assert shown(play, "public")["teams"][0]["points"] == 50

    def test_a_freeze_is_a_moment_of_the_round(self, play: Class) -> None:
        play.open()
        assert isinstance(play.labctl("score", "--freeze", "noon").exception, InputError)

    @pytest.mark.parametrize(
        ("opened", "text", "minutes"),
        [
            ("14:00:30", "14:30", 29.5),
            ("23:50:00", "00:10", 20),
            ("14:00:30", "09:00", None),
            ("14:00:30", "14:00", None),
        ],
    )
    def test_a_freeze_is_found_past_midnight_and_never_before_the_round(
        self, opened: str, text: str, minutes: float | None
    ) -> None:
        from labctl.cli.scores import _moment

        at = datetime.fromisoformat(f"2026-11-26T{opened}").timestamp()
        if minutes is None:
            with pytest.raises(InputError, match="before the round"):
                _moment(text, at)
        else:
            assert _moment(text, at) - at == minutes * 60

    @pytest.mark.parametrize("output", ["table", "json", "yaml", "csv", "junit", "ctftime"])
    @pytest.mark.parametrize("view", ["team", "public"])
    def test_no_team_sees_which_fault_it_has(self, play: Class, view: str, output: str) -> None:
        play.open()
        play.red["red"].clear()
        play.close()
        said = play.labctl("score", "red", "--view", view, "-o", output).output
        assert "red" in said
        assert "50" in said
        assert not re.search(r"BA-\d\d|B02", said)

    def test_during_play_no_team_sees_what_points_are_for(self, play: Class) -> None:
        play.open()
        play.labctl("report", "red", "--node", "node-1")
        (team,) = shown(play, "team")["teams"]
        assert set(team) == {"place", "team", "points", "hints", "resets", "seconds"}

    def test_older_rounds_are_found_by_their_id(self, play: Class) -> None:
        play.open(ids=(), drill=True)
        play.close(checks=False)
        (first,) = {seat.opened.round for seat in rounds.seats(play.world.home)}
        play.open(ids=(), drill=True)
        assert {seat.opened.round for seat in rounds.seats(play.world.home)} != {first}
        assert f"Round {first}, closed" in play.labctl("score", "--replay", "--round", first).output
        assert isinstance(play.labctl("score", "--round", "x").exception, InputError)


class TestClock:
    def test_it_stops_and_goes_on_where_it_runs(self, play: Class) -> None:
        assert isinstance(play.labctl("round", "pause").exception, InputError)
        play.open()
        assert "red: the clock has stopped" in play.labctl("round", "pause", "--reason", "power").output
        assert play.labctl("round", "pause").output == "No clock runs.\n"
        assert "paused" in play.labctl("round", "status").output
        assert "red: the clock runs again" in play.labctl("round", "resume").output
        assert play.labctl("round", "note", "a power cut").exit_code == 0
        assert play.kinds("red")[len(OPENING) :] == ["clock stopped", "clock went on", "note"]

    def test_the_status_of_a_drill_is_that_of_a_round(self, play: Class) -> None:
        play.open(ids=(), drill=True)
        drill = json.loads(play.labctl("round", "status", "-o", "json").output)
        play.close(checks=False)
        play.open()
        fault = json.loads(play.labctl("round", "status", "-o", "json").output)
        assert [set(team) for team in drill] == [set(team) for team in fault]
        assert "fault" not in json.dumps(fault)


def test_the_shipped_rules_are_a_file_that_gives_them_again(play: Class, tmp_path: Path) -> None:
    from labctl.spec import scoring

    file = tmp_path / "rules.yaml"
    file.write_text(play.labctl("round", "rules").output)
    assert scoring.load(file) == Rules()


def of(play: Class, lab: str, kind: type[Any]) -> list[Any]:
    return [event for event in events.every(play.world.home, lab) if isinstance(event, kind)]


def shown(play: Class, view: str) -> Any:
    words = ["red"] if view == "team" else []
    return json.loads(play.labctl("score", *words, "--no-check", "--view", view, "-o", "json").output)


class TestWords:
    """What teams may name in a lab with a cloud."""

    @pytest.mark.parametrize("name", ["allinone", "gridka"])
    def test_every_service_that_a_fault_or_a_check_of_a_cloud_blames_may_be_named(self, name: str) -> None:
        plan = planned(topology.load(name), _identity(), stage="installed")
        known = rounds.services(plan)
        blamed = {rounds.plain(service) for service in patterns.services()}
        assert {"keystone", "nova-compute", "neutron-l3-agent", "cinder-volume", "rabbitmq", "mariadb"} <= blamed
        assert blamed <= set(known)
        scene = Scene(lab=plan)
        for fault in FAULTS:
            assert {rounds.plain(service) for service in draw.services(fault, scene)} <= set(known)

    @pytest.mark.parametrize("text", [text for file in CHECK_FILES for text in literals(file)])
    def test_what_a_check_s_own_step_blames_may_be_named(self, text: str) -> None:
        names = ("gridka", "icehouse", "grizzly", "ceph")
        plans = [planned(topology.load(name), _identity(), stage="installed") for name in names]
        assert any(rounds.plain(text) in rounds.services(plan) for plan in plans)

    @pytest.mark.parametrize(
        ("blamed", "name"),
        [
            ("Chrony.service", "chrony"),
            ("keystone: demo's role, user or project", "keystone"),
            ("rabbitmq, as seen from heat", "rabbitmq"),
            ("neutron-dhcp-agent and its dnsmasq", "neutron-dhcp-agent"),
            ("the clock of its node", "clock"),
            ("a firewall, or the node", "firewall"),
            ("users' rights", "users' rights"),
        ],
    )
    def test_a_suspect_s_remark_is_left_out(self, blamed: str, name: str) -> None:
        assert rounds.plain(blamed) == name

    def test_a_part_of_a_check_may_be_named_however_it_is_written(self, play: Class) -> None:
        play.open()
        with pytest.raises(InputError, match=r"bare labs has no check 'C03:glance'"):
            rounds.report(play.world.home, "red", Diagnosis(symptom="c03:GLANCE"))
