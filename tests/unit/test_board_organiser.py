"""The organiser's buttons and tables: notices, heal, snapshot, checks, CSV."""

from __future__ import annotations

import csv
import io
import threading
from typing import Any

import pytest

from labctl.checks.model import Report, Result, Verdict
from labctl.errors import InputError, LabctlError
from labctl.lab import check, notices, sabotage, seen
from labctl.site.work import Work
from labctl.state import Home
from tests.unit.test_board import Pages, open_round, pages

__all__ = ["pages"]  # a fixture


def report(lab: str, **verdicts: Verdict) -> Report:
    results = tuple(Result(id=name, verdict=each, steps=(), seconds=0, limit=1) for name, each in verdicts.items())
    begun = "2026-01-01T00:00:00+00:00"
    return Report(
        run="r", lab=lab, topology="mini", mode="quick", started=begun, seconds=1, results=results, frontier=()
    )


# -- notices -----------------------------------------------------------------------------------------------------------


def test_a_notice_reaches_the_pages_of_its_teams_alone_and_at_once(pages: Pages) -> None:
    organiser, red, blue = (pages.browser(team) for team in ("", "red", "blue"))
    with red.get("/events", stream=True) as stream:
        lines = stream.iter_lines(chunk_size=1)
        assert next(line for line in lines if line.startswith(b"data"))
        assert organiser.post("/notice", text="Lunch <at> 12").headers["location"] == "/"
        assert next(line for line in lines if line.startswith(b"data"))
    assert organiser.post("/notice", team="red", text="for red").headers["location"] == "/team/red"
    assert "Lunch &lt;at&gt; 12" in red.get("/").text
    assert "for red" in red.get("/").text
    assert "Lunch &lt;at&gt; 12" in blue.get("/").text
    assert "for red" not in blue.get("/").text
    (newest, lunch) = notices.standing(pages.home)
    assert (newest.teams, lunch.teams) == (("red",), ())
    organiser.post("/notice/back", id=newest.id)
    assert "for red" not in red.get("/").text
    assert organiser.post("/notice/back", id=newest.id).status_code == 400


@pytest.mark.parametrize(("team", "text"), [("", " "), ("", "x" * 501), ("no team", "hello")])
def test_a_notice_that_says_nothing_or_too_much_is_refused(pages: Pages, team: str, text: str) -> None:
    assert pages.browser("").post("/notice", team=team, text=text).status_code == 400
    assert notices.standing(pages.home) == []


def test_notices_are_taken_back_one_by_one_or_all(pages: Pages) -> None:
    home: Home = pages.home
    first, second, third = (notices.give(home, [], text) for text in ("one", "two", "three"))
    assert notices.standing(home) == [third, second, first]
    assert notices.take_back(home, [second.id]) == [second]
    with pytest.raises(InputError):
        notices.take_back(home, [first.id, second.id])
    assert notices.standing(home) == [third, first]
    notices.take_back(home, [])
    assert notices.standing(home) == []


# -- buttons -----------------------------------------------------------------------------------------------------------


def test_a_lab_is_checked_by_button_and_the_board_says_how_long_ago(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def checked(work: Work, team: str, *, quick: bool) -> Report:
        asked.append((team, quick))
        made = report(team, B01=Verdict.PASS, B03=Verdict.FAIL)
        seen.keep(work.home, made)
        return made

    monkeypatch.setattr(check, "check", checked)
    organiser = pages.browser("")
    assert organiser.post("/team/red/checks").status_code == 303
    organiser.until("red: quick checks: done: red: B03")
    organiser.until('class="bad">B03</span>')  # where the last checks of a lab are shown
    assert "h ago" in organiser.get("/team/red").text
    assert "B03" not in pages.browser("red").get("/").text  # what is red is not told to teams
    organiser.post("/checks")
    organiser.until("blue: quick checks: done: red: B03")
    assert sorted(asked) == [("blue", True), ("red", True), ("red", True)]


def test_what_was_broken_is_sealed_until_it_is_healed_by_button(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, go_on = [], threading.Event()

    def healed(work: Work, team: str, *, quick: bool) -> tuple[list[Any], Report]:
        asked.append((team, quick))
        assert go_on.wait(10)
        return [object()], report(team, B01=Verdict.PASS)

    monkeypatch.setattr(sabotage, "heal", healed)
    organiser = pages.browser("")
    assert "Nothing is." in organiser.get("/team/red").text
    assert organiser.post("/team/red/heal").status_code == 303
    assert "red: heal: running" in organiser.get("/").text
    assert organiser.post("/team/red/heal").status_code == 409  # once is enough
    go_on.set()
    organiser.until("red: heal: done: 1 undone, all green")
    assert asked == [("red", True)]


def test_a_lab_is_saved_by_button(pages: Pages) -> None:
    organiser = pages.browser("")
    assert organiser.post("/team/red/snapshot", name="lunch").status_code == 303
    organiser.until("red: snapshot lunch: done")
    assert [name for name in pages.world.record("red").volumes if "lunch" in name]
    organiser.post("/team/red/snapshot", name="../x")
    organiser.until("red: snapshot ../x: failed")


@pytest.mark.parametrize("what", ["checks", "heal", "snapshot"])
def test_a_button_for_a_team_without_a_lab_says_so(pages: Pages, what: str) -> None:
    assert pages.browser("").post(f"/team/green/{what}", name="lunch").status_code == 400


def test_what_a_button_began_and_failed_is_said(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise LabctlError("the host is gone")

    monkeypatch.setattr(sabotage, "heal", failing)
    organiser = pages.browser("")
    organiser.post("/team/red/heal")
    organiser.until("red: heal: failed: the host is gone")


# -- tables ------------------------------------------------------------------------------------------------------------


def test_every_table_is_there_as_csv(pages: Pages) -> None:
    organiser = pages.browser("")
    assert table(organiser.get("/score.csv").text) == [["place", "team", "points"]]
    open_round(pages.home)
    organiser.until("running")
    assert table(organiser.get("/score.csv").text)[1][1] == "red"
    nodes = table(organiser.get("/team/red/nodes.csv").text)
    assert (nodes[0][:2], len(nodes)) == (["node", "state"], 3)
    assert nodes[1][:2] == ["node-1", "running"]
    board = csv.DictReader(io.StringIO(organiser.get("/board.csv").text))
    assert {"team", "checked_seconds_ago", "checks_red", "points"} <= set(board.fieldnames or ())
    for path in ("/score.csv", "/team/red/nodes.csv", "/board.csv"):
        assert "attachment" in organiser.get(path).headers["content-disposition"]


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))
