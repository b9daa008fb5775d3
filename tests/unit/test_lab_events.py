"""The events of rounds on disk: only added, private, whole whatever died, and written where a round goes on alone."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from labctl.checks.model import Report, Result, Step, Verdict
from labctl.errors import CapacityError, InputError
from labctl.lab import events
from labctl.rounds.events import Checked, Closed, Healed, Injected, Note, Opened, Reset, Started
from labctl.state import Home
from tests.unit.fake_site import World

OPENED = Opened(at=1, round="r1", minutes=45, player="red", faults=1)
FAULT = Injected(at=2, fault="ZZ-01", slot=1, level=1, entry="e1", red=("B02",), nodes=("web",), services=("names",))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def file_of(home: Home, team: str = "red") -> Path:
    return home.lab(team).path / events.FILE


def test_events_come_back_in_order_and_are_the_organisers_alone(home: Home) -> None:
    events.append(home, "red", OPENED)
    events.append(home, "red", FAULT, Started(at=3))
    assert events.every(home, "red") == (OPENED, FAULT, Started(at=3))
    assert stat.S_IMODE(file_of(home).stat().st_mode) == 0o600


def test_a_line_that_a_dead_process_left_is_cut_off_before_the_next(home: Home) -> None:
    events.append(home, "red", OPENED)
    with file_of(home).open("a") as file:
        file.write('{"kind":"note","at":2,"te')
    events.append(home, "red", Started(at=3))
    assert events.every(home, "red") == (OPENED, Started(at=3))


def test_times_never_run_backwards(home: Home) -> None:
    events.append(home, "red", OPENED, Started(at=100))
    events.append(home, "red", Note(at=50, text="the clock was set"))
    assert [event.at for event in events.every(home, "red")] == [1, 100, 100]


def test_a_full_disk_leaves_the_events_as_they_were(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    events.append(home, "red", OPENED)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CapacityError, match=r"events\.jsonl"):
        events.append(home, "red", Started(at=3))
    assert events.every(home, "red") == (OPENED,)


def test_what_is_no_event_is_named_with_its_line(home: Home) -> None:
    events.append(home, "red", OPENED)
    with file_of(home).open("a") as file:
        file.write("nonsense\n")
    with pytest.raises(InputError, match=r"events\.jsonl, line 2"):
        events.append(home, "red", Started(at=3))


def test_nothing_is_written_where_no_round_goes_on(home: Home) -> None:
    note = Note(at=9, text="x")
    events.during(home, "red", note)
    assert events.every(home, "red") == ()
    events.append(home, "red", OPENED, Closed(at=5))
    events.during(home, "red", note)
    assert events.every(home, "red") == (OPENED, Closed(at=5))


def test_what_checks_say_is_written_down_part_by_part(home: Home) -> None:
    events.append(home, "red", OPENED)
    results = [
        Result(id="B02", verdict=verdict, steps=(Step(name="x"),), seconds=1, limit=2, part=part)
        for part, verdict in (("a", Verdict.PASS), ("b", Verdict.FAIL))
    ]
    said = Report(
        run="1", lab="red", topology="mini", mode="full", started="", seconds=1, results=(*results,), frontier=()
    )
    events.checked(home, "red", said, 7)
    assert events.every(home, "red")[-1] == Checked(at=7, verdicts={"B02:a": "PASS", "B02:b": "FAIL"})


def test_a_heal_is_of_the_fault_with_that_entry_in_the_ledger(home: Home) -> None:
    events.append(home, "red", OPENED, FAULT)
    events.healed(home, "red", "another", 8)
    events.healed(home, "red", "e1", 9)
    assert events.every(home, "red")[2:] == (Healed(at=9, slot=1),)


class TestLabs:
    def happened(self, world: World) -> list[Reset]:
        return [event for event in events.every(world.home, "red") if isinstance(event, Reset)]

    def test_a_reset_in_a_round_is_written_down(self, world: World) -> None:
        world.create("red")
        world.reset("red", "node-1")
        assert self.happened(world) == []
        events.append(world.home, "red", OPENED)
        world.reset("red", "node-1")
        world.reset("red")
        assert [(each.nodes, each.whole) for each in self.happened(world)] == [
            (("node-1",), False),
            (("node-1", "node-2"), True),
        ]

    def test_so_is_the_way_back_to_a_snapshot(self, world: World) -> None:
        world.create("red")
        world.snapshot("red", "lunch")
        events.append(world.home, "red", OPENED)
        world.restore("red", "lunch")
        assert [each.whole for each in self.happened(world)] == [True]
