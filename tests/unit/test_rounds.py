"""Rounds: events and rules make points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from labctl.errors import InputError
from labctl.rounds import events, points, standings, trial
from labctl.rounds.events import (
    Checked,
    Closed,
    Event,
    Frozen,
    Healed,
    HintTaken,
    Injected,
    Note,
    Opened,
    Paused,
    Reported,
    Reset,
    Restarted,
    Resumed,
    Revealed,
    Started,
)
from labctl.rounds.points import Score
from labctl.spec import scoring
from labctl.spec.scoring import Rules

RULES = Rules()
ALL_GREEN = {"B01": "PASS", "B02": "PASS", "B03": "PASS", "B07": "PASS"}
FAULT = Injected(at=20, fault="HB-01", slot=1, level=2, entry="e1", red=("B02",), nodes=("web",), services=("names",))
BEGIN: tuple[Event, ...] = (
    Opened(at=0, round="r1", minutes=45, player="team01", faults=1),
    Checked(at=10, verdicts=ALL_GREEN, baseline=True),
    FAULT,
    Started(at=100),
)


def checked(at: float, **verdicts: str) -> Checked:
    return Checked(at=at, verdicts=ALL_GREEN | verdicts)


def scored(*more: Event, begin: Sequence[Event] = BEGIN, rules: Rules = RULES, now: float | None = None) -> Score:
    found = points.score([*begin, *more], rules, now=now)
    assert found is not None
    return found


REPAIR = (checked(400), checked(460))


class TestTrial:
    """A repair that is tried is worth what a round would give."""

    VERDICTS: ClassVar = {"B02": "PASS", "B03": "PASS"}

    def test_a_repair_that_holds_is_worth_all_points(self) -> None:
        assert trial.percent(FAULT, self.VERDICTS, held=True) == 100

    def test_a_repair_that_a_restart_undoes_is_worth_less(self) -> None:
        assert trial.percent(FAULT, self.VERDICTS, held=False) == 90

    def test_a_cheat_is_worth_no_more_than_the_diagnosis(self) -> None:
        assert trial.percent(FAULT, self.VERDICTS | {"B02": "FAIL"}, held=True) == 50

    def test_a_repair_that_breaks_what_must_be_green_is_none(self) -> None:
        fault = replace(FAULT, green=("B03",))
        assert trial.percent(fault, self.VERDICTS | {"B03": "FAIL"}, held=True) == 25  # 50, less a broken check


class TestParts:
    """Checks of clouds have parts, and a fault may turn one of them red."""

    GREEN: ClassVar = {"C03:glance": "PASS", "C03:nova": "PASS", "C03:neutron": "PASS"}
    FAULT = replace(FAULT, red=("C03:glance",), green=("C03:glance", "C03:nova"), services=("glance",))
    BEGIN = (BEGIN[0], Checked(at=10, verdicts=GREEN, baseline=True), FAULT, Started(at=100))

    def scored(self, *more: Event) -> Score:
        return scored(*more, begin=self.BEGIN)

    def run(self, at: float, **red: str) -> Checked:
        return Checked(at=at, verdicts=self.GREEN | {f"C03:{part}": verdict for part, verdict in red.items()})

    def test_the_part_that_is_green_again_is_a_repair(self) -> None:
        assert self.scored(self.run(400), self.run(460)).faults[0].repair == 80
        assert self.scored(self.run(400, glance="FAIL"), self.run(460, glance="FAIL")).faults[0].repair == 0

    def test_another_part_that_must_be_green_holds_it_up(self) -> None:
        assert self.scored(self.run(400, nova="FAIL"), self.run(460, nova="FAIL")).faults[0].repair == 0

    @pytest.mark.parametrize(("symptom", "points"), [("C03:glance", 40), ("C03", 40), ("C03:nova", 0)])
    def test_the_part_and_the_whole_are_right_symptoms(self, symptom: str, points: int) -> None:
        assert self.scored(Reported(at=200, symptom=symptom)).faults[0].detect == points

    def test_parts_of_one_check_that_a_team_breaks_cost_once(self) -> None:
        found = self.scored(self.run(400, nova="FAIL", neutron="FAIL"))
        assert (found.broken, found.collateral) == (("C03:neutron", "C03:nova"), 50)

    def test_parts_of_one_check_are_one_outage(self) -> None:
        runs = [self.run(400 + number, nova="FAIL", neutron="FAIL") for number in range(5)]
        assert self.scored(Reported(at=200, symptom="C03"), *runs).downtime == 4


class TestFaults:
    def test_a_whole_repair_is_worth_the_whole_level(self):
        score = scored(
            Reported(at=200, service="names", node="web", symptom="B02"),
            *REPAIR,
            Restarted(at=500, slot=1, held=True),
        )
        fault = score.faults[0]
        assert (fault.detect, fault.localise, fault.repair, fault.lasting) == (40, 60, 80, 20)
        assert score.total == 200

    def test_nothing_is_won_by_doing_nothing(self):
        assert scored(checked(400, B02="FAIL")).total == 0

    def test_one_of_service_and_node_is_worth_half(self):
        assert scored(Reported(at=200, service="names", node="db")).faults[0].localise == 30

    def test_the_best_answer_counts(self):
        score = scored(Reported(at=200, service="time", node="web"), Reported(at=300, service="names", node="web"))
        assert score.faults[0].localise == 60

    def test_a_report_is_of_the_fault_that_it_fits_best(self):
        second = replace(FAULT, slot=2, fault="HB-02", red=("B07",), services=("disk",))
        score = scored(Reported(at=200, service="disk", node="web"), begin=[*BEGIN[:3], second, BEGIN[3]])
        assert [fault.localise for fault in score.faults] == [0, 60]

    def test_a_repair_that_does_not_last_the_sustained_time_is_none(self):
        assert scored(checked(400), checked(430)).faults[0].repair == 0
        assert scored(checked(400), checked(430), checked(440, B02="FAIL"), checked(460)).faults[0].repair == 0

    def test_a_check_that_could_not_run_breaks_no_repair(self):
        assert scored(checked(400), checked(430, B02="ERROR"), checked(460)).faults[0].repair == 80

    def test_a_blocked_check_is_no_repair(self):
        assert scored(checked(400, B02="BLOCKED"), checked(460, B02="BLOCKED")).faults[0].repair == 0

    def test_what_the_organiser_healed_is_no_repair(self):
        assert scored(Healed(at=300, slot=1), *REPAIR).faults[0].repair == 0

    def test_what_was_repaired_before_the_organiser_healed_counts(self):
        assert scored(*REPAIR, Healed(at=600, slot=1)).faults[0].repair == 80

    def test_a_repair_that_breaks_what_must_stay_green_is_none(self):
        strict = [replace(each, green=("B01",)) if isinstance(each, Injected) else each for each in BEGIN]
        assert scored(*REPAIR, begin=strict).faults[0].repair == 80
        assert scored(checked(400), checked(460, B01="FAIL"), begin=strict).faults[0].repair == 0

    def test_what_another_fault_turned_red_spoils_no_repair(self):
        first = replace(FAULT, green=("B07",))
        second = replace(FAULT, slot=2, entry="e2", red=("B07",))
        begin = [*BEGIN[:2], first, second, checked(60, B02="FAIL", B07="FAIL"), BEGIN[3]]
        score = scored(checked(400, B07="FAIL"), checked(460, B07="FAIL"), begin=begin)
        assert [fault.repair for fault in score.faults] == [80, 0]

    def test_a_check_that_turned_red_with_it_is_a_right_symptom(self):
        begin = [replace(each, also=("B07",)) if isinstance(each, Injected) else each for each in BEGIN]
        assert scored(Reported(at=200, symptom="B07"), begin=begin).faults[0].detect == 40

    def test_a_reset_is_no_repair_unless_the_rules_say_so(self):
        assert scored(Reset(at=300, nodes=("web",)), *REPAIR).faults[0].repair == 0
        allowing = Rules(resets_repair=True)
        assert scored(Reset(at=300, nodes=("web",)), *REPAIR, rules=allowing).faults[0].repair == 80

    def test_a_repair_that_does_not_survive_a_restart_lacks_that_share(self):
        assert scored(*REPAIR, Restarted(at=500, slot=1, held=False)).total == 80


class TestCosts:
    def test_each_hint_has_its_price_and_is_paid_once(self):
        score = scored(
            HintTaken(at=200, slot=1, number=1),
            HintTaken(at=210, slot=1, number=1),
            HintTaken(at=220, slot=1, number=3),
        )
        assert score.faults[0].hints == 20 + 60

    def test_a_fault_never_costs_more_than_it_brings(self):
        assert scored(HintTaken(at=200, slot=1, number=3)).total == 0

    def test_resets_over_the_free_ones_cost_a_percentage(self):
        free, paid = Reset(at=300, nodes=("web",)), Reset(at=310, nodes=("web",))
        elsewhere = Reset(at=320, nodes=("db",))
        assert scored(*REPAIR, free).faults[0].resets == 0
        assert scored(*REPAIR, free, elsewhere).faults[0].resets == 0
        assert scored(*REPAIR, free, paid).faults[0].resets == 60
        assert scored(*REPAIR, free, Reset(at=330, nodes=("web", "db"), whole=True)).faults[0].resets == 120

    def test_a_diagnosis_that_fits_nothing_costs(self):
        score = scored(*REPAIR, Reported(at=200, service="time", node="db"))
        assert score.wrong == 10
        assert score.total == 70

    def test_a_right_symptom_without_a_culprit_is_no_wrong_diagnosis(self):
        assert scored(Reported(at=200, symptom="B02")).wrong == 0

    def test_a_check_that_was_broken_on_the_way_costs(self):
        score = scored(checked(400, B07="FAIL"), checked(460, B07="FAIL"))
        assert score.broken == ("B07",)
        assert score.total == 80 - 50

    def test_a_run_of_one_check_forgets_nothing_that_is_broken(self):
        assert scored(checked(400, B07="FAIL"), Checked(at=460, verdicts={"B02": "PASS"})).broken == ("B07",)

    def test_what_the_faults_turned_red_besides_costs_nobody(self):
        begin = [*BEGIN[:3], checked(60, B02="FAIL", B07="FAIL"), BEGIN[3]]
        score = scored(*(checked(200 + number, B07="FAIL") for number in range(10)), begin=begin)
        assert (score.broken, score.downtime) == ((), 0)

    def test_a_check_that_was_red_before_costs_nobody(self):
        begin = [BEGIN[0], Checked(at=10, verdicts=ALL_GREEN | {"B07": "FAIL"}, baseline=True), *BEGIN[2:]]
        assert scored(checked(400, B07="FAIL"), checked(460, B07="FAIL"), begin=begin).broken == ()

    def test_five_misses_in_a_row_of_what_nobody_sabotaged_cost_a_tenth(self):
        misses = [checked(200 + 10 * number, B02="FAIL", B03="FAIL") for number in range(5)]
        assert scored(*misses, *REPAIR).downtime == 8
        assert scored(*misses[:4], *REPAIR).downtime == 0

    def test_all_outages_together_cost_half_at_most(self):
        misses = [checked(200 + number, B02="FAIL", B03="FAIL") for number in range(100)]
        assert scored(*misses, *REPAIR).downtime == 40


class TestDrill:
    BEGIN = (replace(BEGIN[0], faults=0), BEGIN[1], BEGIN[3])  # type: ignore[type-var]

    def test_a_team_that_says_so_wins_its_points(self):
        assert scored(Reported(at=200, nothing=True), begin=self.BEGIN).total == 100

    def test_a_wrong_alarm_costs(self):
        alarm = Reported(at=200, service="names", node="web")
        assert scored(alarm, Reported(at=300, nothing=True), begin=self.BEGIN).total == 90

    def test_its_hints_cost_as_those_of_a_fault(self):
        taken = HintTaken(at=150, slot=1, number=2)
        assert scored(taken, Reported(at=200, nothing=True), begin=self.BEGIN).total == 80

    def test_nothing_is_broken_is_wrong_where_something_is(self):
        assert scored(Reported(at=200, nothing=True), *REPAIR).total == 70


class TestClock:
    def test_what_comes_after_time_is_up_does_not_count(self):
        late = 100 + 45 * 60 + 1
        assert scored(Reported(at=late, service="names", node="web", symptom="B02")).total == 0

    def test_the_clock_stands_during_an_outage(self):
        late = 100 + 45 * 60 + 1
        outage = (Paused(at=200, reason="power"), Resumed(at=260))
        assert scored(*outage, Reported(at=late, service="names", node="web")).faults[0].localise == 60

    def test_a_frozen_score_leaves_later_events_out(self):
        assert scored(*REPAIR, now=300).total == 0
        assert scored(*REPAIR, now=300).seconds == 200

    def test_play_ends_with_the_round(self):
        assert scored(Closed(at=700)).seconds == 600

    def test_what_comes_after_the_end_does_not_count(self):
        assert scored(Closed(at=300), Reported(at=310, service="names", node="web")).total == 0

    def test_a_repair_that_looks_good_is_pending_for_the_sustained_time(self):
        assert points.pending([*BEGIN, checked(400)], RULES) == 60
        assert points.pending([*BEGIN, checked(400), checked(430)], RULES) == 30
        assert points.pending([*BEGIN, *REPAIR], RULES) == 0
        assert points.pending([*BEGIN, checked(400, B02="FAIL")], RULES) == 0

    def test_frozen_scores_stand_still_until_they_are_revealed(self):
        assert points.frozen(BEGIN) is None
        assert points.frozen([*BEGIN, Frozen(at=200, since=300)]) == 300
        assert points.frozen([*BEGIN, Frozen(at=200, since=300), Revealed(at=400)]) is None


class TestStandings:
    def test_ties_go_to_the_earliest_last_improvement(self):
        slow = scored(*REPAIR)
        quick = replace(slow, player="team02", improved=10.0)
        assert [(each.place, each.score.player) for each in standings.ranked([slow, quick])] == [
            (1, "team02"),
            (2, "team01"),
        ]

    def test_equals_share_a_place(self):
        one = scored(*REPAIR)
        three = replace(one, player="team03", faults=())
        places = [each.place for each in standings.ranked([three, replace(one, player="team02"), one])]
        assert places == [1, 1, 3]

    @pytest.mark.parametrize("seed", range(20))
    def test_a_swap_leaves_no_team_with_its_own_lab(self, seed: int):
        teams = ["team01", "team02", "team03", "team04"]
        pairs = standings.swapped(teams, seed)
        assert sorted(pairs) == sorted(pairs.values()) == teams
        assert all(player != lab for player, lab in pairs.items())
        assert pairs == standings.swapped(teams[::-1], seed)

    def test_one_team_cannot_swap(self):
        with pytest.raises(InputError, match="two teams"):
            standings.swapped(["team01"], 1)


class TestEvents:
    EVERY = (
        *BEGIN,
        HintTaken(at=110.5, slot=1, number=1),
        Reported(at=120, service="names", node="web", symptom="B02"),
        Reset(at=130, nodes=("web",)),
        Paused(at=140, reason="power"),
        Resumed(at=150),
        *REPAIR,
        Restarted(at=480, slot=1, held=True),
        Healed(at=490, slot=1),
        Note(at=500, text="two lines\nof it"),
        Frozen(at=505, since=600),
        Revealed(at=506),
        Closed(at=510),
    )

    def test_every_kind_comes_back_from_its_line(self):
        text = "".join(f"{events.line(event)}\n" for event in self.EVERY)
        assert events.read(text, "events.jsonl") == self.EVERY
        assert {type(event) for event in self.EVERY} == set(events.KINDS.values())

    def test_a_line_that_was_not_finished_never_happened(self):
        text = "".join(f"{events.line(event)}\n" for event in BEGIN)
        assert events.read(text + '{"kind":"clo', "events.jsonl") == BEGIN

    @pytest.mark.parametrize(
        "line",
        [
            "nonsense",
            "[]",
            '{"kind":"dance","at":1}',
            '{"kind":"closed"}',
            '{"kind":"closed","at":true}',
            '{"kind":"closed","at":1,"more":2}',
            '{"kind":"reset","at":1,"nodes":"web"}',
            '{"kind":"hint taken","at":1,"slot":"1","number":1}',
            '{"kind":"note","at":NaN,"text":""}',
        ],
    )
    def test_what_is_no_event_is_refused_with_its_line(self, line: str):
        with pytest.raises(InputError, match="line 2"):
            events.read(f"{events.line(Closed(at=1))}\n{line}\n", "events.jsonl")

    def test_the_last_round_begins_with_its_opening(self):
        again = replace(BEGIN[0], round="r2")  # type: ignore[type-var]
        assert events.last_round([*BEGIN, Closed(at=900), again]) == (again,)
        assert events.last_round([]) == ()


class TestRules:
    def test_an_empty_file_means_the_shipped_rules(self):
        assert scoring.loads("", "rules.yaml") == Rules()

    def test_a_file_may_say_all_that_the_rules_have(self):
        document: dict[str, Any] = scoring.document_of(Rules(sustained=5))
        assert scoring.Rules.model_validate(document) == Rules(sustained=5)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("shares: {detect: 50}", "together"),
            ("levels: {hard: 300}", "hard"),
            ("levels: {}", "levels"),
            ("hints: [10, 200]", "hints"),
            ("sustained: true", "sustained"),
            ("speed: 3", "speed"),
        ],
    )
    def test_what_makes_no_sense_is_refused_with_its_line(self, text: str, said: str):
        with pytest.raises(InputError) as refused:
            scoring.loads(f"\n{text}\n", "rules.yaml")
        assert said in str(refused.value)
        assert "rules.yaml:2:" in str(refused.value)

    def test_a_level_above_the_highest_is_worth_as_much(self):
        assert [RULES.base(level) for level in (1, 2, 3, 4)] == [100, 200, 400, 400]
