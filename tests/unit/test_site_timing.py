"""Where the seconds of a command go."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

from labctl.report import timing as report
from labctl.site.progress import Phase
from labctl.site.timing import Timing
from tests.unit.fake_site import Notes, World


def noted(world: World) -> tuple[Timing, Notes]:
    """Create a lab, and return what was noted, and what was shown."""
    notes = Notes()
    with Timing(notes) as timing:
        world.notes = timing  # type: ignore[assignment]
        world.create("red")
    return timing, notes


def test_phases_follow_one_another_to_the_total(world: World) -> None:
    timing, notes = noted(world)
    nodes = timing.by_node()["red"]
    assert list(nodes) == ["node-1", "node-2"]
    for phases in nodes.values():
        total = phases.pop("total")
        assert 0 <= sum(phases.values()) <= total + 0.1
    assert [phase for _, node, phase in notes.phases if node == "node-1"] == [
        Phase.DISKS,
        Phase.NETWORKS,
        Phase.STARTING,
        Phase.WAITING,
        Phase.RESUMING,
        Phase.BOOTING,
        Phase.LOGIN,
        Phase.SEEDING,
        Phase.READY,
    ]


def test_what_a_fork_does_is_told_apart(world: World) -> None:
    world.create("red")
    world.capture("red")
    world.notes.phases.clear()
    world.create("green")
    assert [phase for team, node, phase in world.notes.phases if (team, node) == ("green", "node-1")] == [
        Phase.DISKS,
        Phase.NETWORKS,
        Phase.RESTORING,
        Phase.WAITING,
        Phase.RESUMING,
        Phase.IDENTITY,
        Phase.LEASE,
        Phase.READY,
    ]


def test_calls_of_libvirt_are_noted_and_print_nothing(caplog: object) -> None:
    log = logging.getLogger("labctl.hypervisor.translate")
    level = log.level
    with Timing(Notes()) as timing:
        log.info("%s: %.0f ms", "start domain red-node-1", 250.0)
    assert (log.level, log.propagate) == (level, True)
    (span,) = timing.spans()
    assert (span.group, span.row, span.name, span.seconds) == ("libvirt", "MainThread", "start domain red-node-1", 0.25)


def test_a_trace_is_what_viewers_read(world: World, tmp_path: Path) -> None:
    timing, _ = noted(world)
    timing.node("red", "node-1", Phase.STOPPING)
    time.sleep(0.01)
    timing.node("red", "node-1", Phase.OFF)
    file = tmp_path / "trace.json"
    timing.write(file)
    events = json.loads(file.read_text())["traceEvents"]
    assert {"red", "node-1", "node-2"} <= {event["args"]["name"] for event in events if event["ph"] == "M"}
    (stopping,) = [event for event in events if event["name"] == "stopping"]
    assert stopping["ph"] == "X"
    assert stopping["dur"] >= 10_000


def test_the_table_has_a_row_for_each_node() -> None:
    table = report.seconds({"red": {"a": {"booting": 1.25, "total": 2.0}, "b": {"total": 3.0}}})
    assert table.splitlines() == [
        "TEAM  NODE  BOOTING  TOTAL",
        "red   a     1.2 s    2.0 s",
        "red   b              3.0 s",
    ]
    assert report.seconds({}) == ""
