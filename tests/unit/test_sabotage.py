"""Sabotage: whole faults, fair draws, a ledger that is written first, undo that respects others; on a fake lab."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from netaddr import IPAddress

from labctl.changes import Card, DropIn, Line, Member, Permissions, PutFile, Refusal, SwitchPort, UnitState
from labctl.checks.check import chosen
from labctl.checks.model import Report, Result, Step, Verdict
from labctl.errors import CapacityError, InputError, RefusedError, RemoteError
from labctl.guest import File
from labctl.guest.fake import FakeGuest
from labctl.lab import fault_files, many
from labctl.lab.sabotage import LEDGER, Ledger
from labctl.pace import pace
from labctl.report import matrix as matrix_views
from labctl.report import sabotage as views
from labctl.sabotage import draw, ledger, lint, matrix, nw10_similar, tutorial
from labctl.sabotage.engine import Engine, untouchable
from labctl.sabotage.fault import FAULTS, Break, Drawn, Fault, Scene, Typed
from labctl.sabotage.ledger import Entry, State
from labctl.sabotage.left_out import LEFT_OUT
from labctl.sabotage.matrix import Verified
from labctl.spec import teams
from labctl.state import LabFolder
from tests.unit.fake_site import World

SCENES = fault_files.scenes()
MINI = next(scene for scene in SCENES if scene.lab.topology == "mini")
HOSTS = "127.0.0.1 localhost\n10.0.0.3 node-1\n10.0.0.4 node-2\n"


@pytest.mark.parametrize("fault", list(FAULTS), ids=lambda fault: fault.id)
def test_every_fault_of_the_pool_is_whole(fault: Fault) -> None:
    assert lint.problems(fault, SCENES) == []


def test_the_pool_for_bare_labs_has_every_level() -> None:
    pool = [fault for fault in FAULTS if fault.pool and "bare" in fault.stages]
    assert len(pool) >= 12
    assert {fault.level for fault in pool} == {1, 2, 3}


def whole(**changes: Any) -> Fault:
    def drawn(scene: Scene, random: Random) -> Drawn:
        """Break a name."""
        change = Line(path="/etc/hosts", match=r"10\.0\.0\.4 (.*)", line=r"10.0.0.44 \1")
        return Drawn(
            node="node-1",
            service="names",
            breaks=(Break(node="node-1", change=change),),
            explanation="why",
            repair=(Typed(node="node-1", line="mend"),),
        )

    values: dict[str, Any] = {
        "id": "ZZ-01",
        "title": "A riddle",
        "level": 1,
        "lasts": "file",
        "group": "names",
        "red": ("B02",),
        "green": ("B01",),
        "hints": ("one", "two", "three"),
        "draw": drawn,
    }
    return Fault(**(values | changes))


def drawing(*breaks: Break, **changes: Any) -> Fault:
    values: dict[str, Any] = {"node": "node-1", "service": "x", "explanation": "why", "breaks": breaks}
    values["repair"] = (Typed(node="node-1", line="mend"),)

    def drawn(scene: Scene, random: Random) -> Drawn:
        """Break something."""
        return Drawn(**(values | changes))

    return whole(draw=drawn)


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (whole(hints=("one", "two")), "three different hints"),
        (whole(title=""), "it has a title"),
        (whole(title="Look at hosts"), "its title names hosts"),
        (whole(title="node-1 is ill"), "its title names the node"),
        (whole(red=()), "a check that turns red"),
        (whole(red=("B99",)), "there is no check B99"),
        (whole(green=("B02", "B01")), "B02 cannot be red and green"),
        (whole(green=()), "B01 stays green"),
        (whole(level=4), "its level is 1, 2 or 3"),
        (whole(id="X1"), "two letters and two digits"),
        (drawing(), "it breaks nothing"),
        (drawing(repair=()), "it has a reference repair"),
        (drawing(node="elsewhere"), "elsewhere is no node"),
        (drawing(Break(node="node-1", change=Card(card="eth0", up=False))), "the management card"),
        (drawing(Break(node="node-1", change=UnitState(name="ssh", active=False))), "would touch ssh"),
        (drawing(Break(node="node-1", change=DropIn(unit="ssh.service", name="x"))), "would touch ssh"),
        (drawing(Break(node="node-1", change=SwitchPort(bridge="br100", card="eth0"))), "the management card"),
        (drawing(Break(node="node-1", change=Refusal(source="10.0.0.4", port=22))), "port 22"),
        (
            drawing(Break(node="node-1", change=Refusal(source=str(MINI.lab.nodes[1].mgmt), port=80))),
            "the management network",
        ),
        (drawing(Break(node="node-1", change=Member(group="sudo", user="nova"))), "would touch sudo"),
        (
            drawing(
                Break(
                    node="node-1",
                    change=PutFile(path="/usr/local/lib/python3.13/dist-packages/yaml.py", content=""),
                )
            ),
            "dist-packages/yaml.py",
        ),
        (
            drawing(Break(node="node-1", change=PutFile(path="/etc/ssh/sshd_config", content=""))),
            "/etc/ssh/sshd_config",
        ),
        (drawing(Break(node="node-1", change=PutFile(path="/root/.profile", content=""))), "/root/.profile"),
        (drawing(Break(node="node-1", change=PutFile(path="/etc/labctl.conf", content=""))), "fingerprint"),
        (
            drawing(Break(node="node-1", change=PutFile(path="/etc/x", content=""), restart=("qemu-guest-agent",))),
            "qemu-guest-agent",
        ),
    ],
)
def test_a_fault_that_is_not_whole_is_refused(fault: Fault, problem: str) -> None:
    assert problem in "\n".join(lint.problems(fault, [MINI]))


def test_a_file_of_a_fault_is_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import nothing_of_the_kind\n")
    with pytest.raises(InputError, match="cannot be loaded"):
        fault_files.problems(file)
    file.write_text("x = 1\n")
    assert fault_files.problems(file) == ["it registers no fault: decorate a function with @fault"]
    shipped = Path(str(fault_files.__file__)).parents[1] / "sabotage" / "ba01_wrong_entry.py"
    assert fault_files.problems(shipped) == []


TEN = [f"team{number:02}" for number in range(1, 11)]


@pytest.mark.parametrize("seed", list("abcdefghij"))
def test_ten_teams_get_equal_difficulty_and_as_many_faults_as_there_are(seed: str) -> None:
    found = draw.candidates(MINI)
    lots = draw.lots(TEN, found, seed=seed, same=False)
    kinds = {(lot.order[0].level, matrix.weight(lot.order[0])) for lot in lots}
    assert len(kinds) == 1
    size = len([fault for fault in found if (fault.level, matrix.weight(fault)) in kinds])
    assert len({lot.order[0].id for lot in lots}) == min(10, size)
    assert lots == draw.lots(TEN, found, seed=seed, same=False), "the same seed draws the same"


def test_a_dry_run_counts_labs_and_faults_and_names_a_pool_only_where_something_was_drawn() -> None:
    drawn = draw.lots(["team01"], draw.candidates(MINI), seed="x", same=False)
    assert "Labs: 1. Different faults: 1. Drawn from: " in views.lots(drawn)
    named = [replace(lot, candidates=()) for lot in (*drawn, *drawn)]
    assert "Drawn from" not in views.lots(named)


def test_different_seeds_draw_differently() -> None:
    found = draw.candidates(MINI)
    assert len({draw.lots(["team01"], found, seed=str(seed), same=False)[0].order[0].id for seed in range(10)}) > 3


def test_the_same_for_all_is_the_same_on_the_same_node() -> None:
    lots = draw.lots(TEN, draw.candidates(MINI), seed="x", same=True)
    assert len({lot.order[0].id for lot in lots}) == 1
    assert len({draw.drawn(lot.order[0], MINI, lot) for lot in lots}) == 1


def test_what_stands_already_is_not_stacked() -> None:
    taken = [FAULTS["BA-01"]]
    ids = {fault.id for fault in draw.candidates(MINI, taken=taken)}
    assert not ids & {"BA-01", "BA-02", "BA-03"}, "of the same group"
    assert "BA-04" not in ids, "all its checks are red already"
    assert "BA-16" in ids


def test_an_empty_draw_says_so() -> None:
    with pytest.raises(InputError, match="no fault is left"):
        draw.lots(["team01"], [], seed="x", same=False)


def test_faults_that_a_topology_cannot_have_are_left_out() -> None:
    lone = replace(MINI.lab, nodes=MINI.lab.nodes[:1], hosts=())
    ids = {fault.id for fault in draw.candidates(Scene(lab=lone))}
    assert "BA-05" not in ids
    assert "BA-16" in ids


def report(*red: str) -> Report:
    ids = sorted({"B01", "B02", "B03", *red})
    results = tuple(
        Result(
            id=name,
            verdict=Verdict.FAIL if name in red else Verdict.PASS,
            steps=(Step(name="x", verdict=Verdict.FAIL, evidence=f"{name} is ill"),) if name in red else (),
            seconds=0,
            limit=1,
        )
        for name in ids
    )
    return Report(
        run="", lab="team01", topology="mini", mode="full", started="", seconds=0, results=results, frontier=()
    )


class Lab:
    """A lab of one node in memory, an organiser's ledger, and checks that look at the node."""

    def __init__(self) -> None:
        self.node = FakeGuest(name="node-1")
        self.node.file("/etc/hosts", HOSTS)
        self.saved: list[Entry] = []
        self.seen: list[str] = []
        self.cut = False
        self.harm: set[str] = set()

    def engine(self, **changes: Any) -> Engine:
        values: dict[str, Any] = {
            "team": "team01",
            "guest": self.guest,
            "anew": lambda name: self.node,
            "agent": lambda name: self.node,
            "check": self.check,
            "save": self.save,
            "generations": {},
            "virt": "kvm",
        }
        return Engine(**(values | changes))

    def guest(self, name: str) -> FakeGuest:
        if self.cut:
            raise RemoteError("nobody answers")
        return self.node

    def save(self, entry: Entry) -> None:
        self.saved.append(entry)
        self.seen.append(self.hosts)

    def check(self, ids: Sequence[str]) -> Report:
        red = {"B02"} if "10.0.0.4 node-2" not in self.hosts else set()
        return report(*red, *(self.harm if red else ()))

    @property
    def hosts(self) -> str:
        return self.node.files["/etc/hosts"].content.decode()


def begun(fault: Fault) -> tuple[Entry, Drawn]:
    drawn = fault.draw(MINI, Random(0))
    return ledger.new_entry(fault, drawn, uid="1", seed="s", at="now", candidates=()), drawn


def test_a_record_is_written_before_anything_is_touched() -> None:
    lab = Lab()
    entry = lab.engine().inject(*begun(whole()))
    assert [each.state for each in lab.saved] == [State.MAYBE, State.MAYBE, State.INJECTED]
    assert lab.seen[0] == HOSTS, "not touched yet"
    assert lab.saved[0].records, "and all that a heal needs is there"
    assert entry.symptoms == {"B02": "B02 is ill"}
    assert lab.node.ran == [], "no command, so no history"


def test_a_heal_brings_every_byte_back_and_twice_is_harmless() -> None:
    lab = Lab()
    before = lab.node.files["/etc/hosts"]
    engine = lab.engine()
    entry = engine.inject(*begun(whole()))
    healed = engine.undo(entry, State.HEALED)
    assert lab.node.files["/etc/hosts"] == before
    assert healed.notes == ("node-1: /etc/hosts: restored",)
    assert engine.undo(entry, State.HEALED).notes == ("node-1: /etc/hosts: already as before",)


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_kill_at_any_moment_leaves_what_a_heal_needs(moment: int) -> None:
    lab = Lab()
    before = lab.node.files["/etc/hosts"]

    class Killed(BaseException):
        pass

    def save(entry: Entry) -> None:
        lab.save(entry)
        if len(lab.saved) == moment:
            raise Killed

    with pytest.raises(Killed):
        lab.engine(save=save).inject(*begun(whole()))
    assert lab.saved[-1].state in ledger.OPEN
    lab.engine().undo(lab.saved[-1], State.HEALED)
    assert lab.node.files["/etc/hosts"] == before


def test_a_kill_between_the_act_and_its_note_is_healed_too() -> None:
    lab = Lab()
    before = lab.node.files["/etc/hosts"]
    entry = lab.engine().inject(*begun(whole()))
    planned = lab.saved[0]  # all that was on disk at that moment
    assert planned.state is State.MAYBE
    lab.engine().undo(planned, State.HEALED)
    assert lab.node.files["/etc/hosts"] == before
    assert entry.records[0][1].before == planned.records[0][1].before


def test_a_repair_of_another_kind_is_left_and_said() -> None:
    lab = Lab()
    engine = lab.engine()
    entry = engine.inject(*begun(whole()))
    own = "127.0.0.1 localhost\n10.0.0.3 node-1\n10.0.0.4\tnode-2 # by hand\n"
    lab.node.file("/etc/hosts", own)
    assert engine.undo(entry, State.HEALED).notes == ("node-1: /etc/hosts: changed by somebody else, left as it is",)
    assert lab.hosts == own


def test_a_fault_that_turns_nothing_red_is_undone_at_once() -> None:
    lab = Lab()
    entry = lab.engine(check=lambda ids: report()).inject(*begun(whole()))
    assert entry.state is State.REVERTED
    assert lab.hosts == HOSTS
    assert "no check turned red" in entry.notes


def test_a_fault_that_does_more_than_it_says_is_undone_at_once() -> None:
    lab = Lab()
    lab.harm = {"B03"}
    entry = lab.engine().inject(*begun(whole(green=("B01", "B03"))))
    assert entry.state is State.REVERTED
    assert lab.hosts == HOSTS
    assert "B03 turned red, too" in entry.notes


class Slow(threading.Event):
    """Checks whose verdicts come one after the other, and what cancels a wait: time passes when somebody waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *red: Sequence[str]) -> None:
        super().__init__()
        self.red, self.asked, self.now = list(red), [], 0.0
        monkeypatch.setattr("labctl.waiting.time.monotonic", lambda: self.now)

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return self.is_set()

    def __call__(self, ids: Sequence[str]) -> Report:
        self.asked.append(tuple(ids))
        return report(*(self.red.pop(0) if self.red else ()))


def test_a_fault_that_shows_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(monkeypatch, (), (), (), ("C05",))
    entry = Lab().engine(check=slow, cancelled=slow).inject(*begun(whole(red=("C05",))))
    assert entry.state is State.INJECTED
    assert entry.symptoms == {"C05": "C05 is ill"}


def test_a_fault_that_never_shows_is_undone_when_it_is_late_even_for_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(monkeypatch)
    entry = Lab().engine(check=slow, cancelled=slow).inject(*begun(whole(red=("C05",))))
    assert entry.state is State.REVERTED
    assert slow.now >= pace("kvm").silent


def test_what_was_restarted_must_be_red_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that comes up answers nobody for a moment: that is no symptom."""
    lab = Lab()
    lab.node.answers[".*systemctl reset-failed .*"] = 0
    change = Line(path="/etc/hosts", match=r"10\.0\.0\.4 (.*)", line=r"10.0.0.44 \1")
    fault = drawing(Break(node="node-1", change=change, restart=("x",)))
    slow = Slow(monkeypatch, ("B02",), ())
    entry = lab.engine(check=slow, cancelled=slow).inject(*begun(fault))
    assert entry.state is State.REVERTED
    slow = Slow(monkeypatch, ("B02",), (), ("B02",), ("B02",))
    entry = lab.engine(check=slow, cancelled=slow).inject(*begun(fault))
    assert entry.state is State.INJECTED
    assert slow.asked == [("B02",), ("B02", "B01", "B01"), ("B02",), ("B02", "B01", "B01")]


def test_what_an_api_says_right_after_a_restart_is_given_longer_than_what_a_node_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change = Line(path="/etc/hosts", match=r"10\.0\.0\.4 (.*)", line=r"10.0.0.44 \1")
    fault = drawing(Break(node="node-1", change=change, restart=("x",)))
    took = []
    for red in ("B02", "C05"):
        lab, slow = Lab(), Slow(monkeypatch, (red,), (red,))
        lab.node.answers[".*systemctl reset-failed .*"] = 0
        assert lab.engine(check=slow, cancelled=slow).inject(*begun(replace(fault, red=(red,)))).state is State.INJECTED
        took.append(slow.now)
    assert took[0] < took[1] / 5


def test_after_an_interrupt_everything_is_undone_by_another_ssh_connection() -> None:
    """The guest agent takes minutes for a large file."""
    lab = Lab()
    entry = lab.engine().inject(*begun(whole()))
    cancelled = threading.Event()
    ways: list[str] = []

    def way(name: str) -> Callable[[str], FakeGuest]:
        def guest(node: str) -> FakeGuest:
            ways.append(name)
            return lab.node

        return guest

    lab.cut = True
    engine = lab.engine(anew=way("anew"), agent=way("agent"), cancelled=cancelled)
    assert engine.undo(entry, State.HEALED).notes == ("node-1: /etc/hosts: restored",)
    assert ways == ["agent"], "nobody waits twice for a network that is cut"
    cancelled.set()
    engine.undo(entry, State.HEALED)
    assert ways == ["agent", "anew"]
    lab.engine(anew=lab.guest, agent=way("agent"), cancelled=cancelled).undo(entry, State.HEALED)
    assert ways == ["agent", "anew", "agent"]


def test_whoever_interrupts_a_wait_waits_no_longer_and_has_everything_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    lab, slow = Lab(), Slow(monkeypatch)

    def check(ids: Sequence[str]) -> Report:
        slow.set()
        return slow(ids)

    entry = lab.engine(check=check, cancelled=slow).inject(*begun(whole(red=("C05",))))
    assert (entry.state, entry.notes[0]) == (State.REVERTED, "interrupted")
    assert len(slow.asked) == 1
    assert lab.hosts == HOSTS


def test_a_heal_that_is_not_green_restarts_what_was_touched_and_looks_again() -> None:
    lab = Lab()
    lab.node.answers[".*systemctl reset-failed .*"] = 0
    fault = drawing(Break(node="node-1", change=PutFile(path="/etc/one", content="x"), restart=("keystone",)))
    entry = lab.engine().act(*begun(fault))
    lab.node.ran.clear()

    def check(ids: Sequence[str]) -> Report:
        return report() if any("restart keystone" in line for line in lab.node.ran) else report("B02")

    impatient = threading.Event()
    impatient.set()
    assert lab.engine(check=check, cancelled=impatient).checked([entry]).green
    lab.node.ran.clear()
    assert not lab.engine(check=lambda ids: report("B02")).checked([]).green
    assert lab.node.ran == [], "nothing was touched"


def test_a_service_that_was_healed_has_time_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    entry, _ = begun(whole())
    slow = Slow(monkeypatch, ("B02",), ("B02",), (), ())
    assert Lab().engine(check=slow, cancelled=slow).checked([entry]).green
    assert slow.asked == [("B02",), ("B02",), ("B02",), ()]


def test_a_heal_does_not_wait_for_a_check_that_only_an_older_labctl_had(monkeypatch: pytest.MonkeyPatch) -> None:
    entry, _ = begun(whole())
    known = Slow(monkeypatch, (), ())
    assert Lab().engine(check=known, cancelled=known).checked([replace(entry, red=("B02", "C99:gone"))]).green
    assert known.asked == [("B02",), ()]


def test_a_fault_that_cuts_the_way_in_is_undone_by_the_guest_agent() -> None:
    lab = Lab()

    def check(ids: Sequence[str]) -> Report:
        lab.cut = True
        return report("B01", "B02")

    entry = lab.engine(check=check).inject(*begun(whole()))
    assert entry.state is State.REVERTED
    assert lab.hosts == HOSTS


def test_a_node_that_nobody_gets_into_is_named_with_what_to_do() -> None:
    lab = Lab()
    entry = lab.engine().inject(*begun(whole()))
    lab.cut = True
    with pytest.raises(RemoteError, match="/etc/hosts cannot be healed") as caught:
        lab.engine(agent=lab.guest).undo(entry, State.HEALED)
    assert "labctl reset -t team01 node-1" in caught.value.remedy
    assert lab.saved[-1].state is State.INJECTED


def test_nothing_is_touched_when_the_ledger_cannot_be_written() -> None:
    lab = Lab()

    def save(entry: Entry) -> None:
        raise RefusedError("full")

    with pytest.raises(RefusedError):
        lab.engine(save=save).inject(*begun(whole()))
    assert lab.hosts == HOSTS


def test_a_change_that_does_not_fit_touches_nothing() -> None:
    lab = Lab()
    lab.node.file("/etc/hosts", "127.0.0.1 localhost\n")
    with pytest.raises(InputError, match="no line"):
        lab.engine().inject(*begun(whole()))
    assert lab.saved == []


def test_a_node_that_is_lost_midway_is_undone() -> None:
    lab = Lab()
    first = Break(node="node-1", change=PutFile(path="/etc/one", content="x"))
    second = Break(node="node-1", change=UnitState(name="chrony", active=False))
    lab.node.units["chrony"] = ("enabled", "active")
    lab.node.answers[r"systemctl --quiet stop chrony"] = lambda line, stdin: 1
    with pytest.raises(RemoteError):
        lab.engine().inject(*begun(drawing(first, second)))
    assert "/etc/one" not in lab.node.files
    assert lab.saved[-1].state is State.REVERTED
    assert lab.node.units["chrony"] == ("enabled", "active")


def test_a_lab_that_is_not_green_is_not_broken() -> None:
    lab = Lab()
    entry, _ = begun(whole())
    with pytest.raises(RefusedError, match="is not green"):
        lab.engine(check=lambda ids: report("B02")).green_before(entry)


def parts(*red: str) -> Report:
    """B02 in three parts."""
    results = [
        replace(report(*("B02",) * (name in red)).results[1], part=name.partition(":")[2])
        for name in ("B02:a", "B02:b", "B02:c")
    ]
    return replace(report(*red), results=(*report(*(name for name in red if ":" not in name)).results[::2], *results))


def test_beside_a_fault_that_stands_only_what_is_still_green_proves_another_one() -> None:
    entry, _ = begun(whole(red=("B02", "B03"), green=("B01", "B02:b")))
    engine = Lab().engine(check=lambda ids: parts("B02:b", "B03"))
    left = engine.green_before(entry, beside=True)
    assert (left.red, left.green) == (("B02:a", "B02:c"), ("B01",))
    with pytest.raises(RefusedError, match="is not green"):
        Lab().engine(check=lambda ids: parts("B02:a", "B02:b", "B02:c", "B03")).green_before(entry, beside=True)


@pytest.fixture
def book(tmp_path: Path) -> Ledger:
    return Ledger(LabFolder(tmp_path / "team01"))


def test_the_ledger_is_the_organisers_alone_and_reads_what_it_wrote(book: Ledger, tmp_path: Path) -> None:
    lab = Lab()
    entry = lab.engine().inject(*begun(whole()))
    book.save(entry)
    book.save(replace(entry, state=State.HEALED))
    assert book.entries() == [replace(entry, state=State.HEALED)]
    assert book.open() == []
    file = tmp_path / "team01" / LEDGER
    assert file.stat().st_mode & 0o077 == 0
    assert json.loads(file.read_text())[0]["records"][0][1]["target"] == "/etc/hosts"


def test_a_damaged_ledger_is_named(book: Ledger, tmp_path: Path) -> None:
    book.save(Lab().engine().inject(*begun(whole())))
    (tmp_path / "team01" / LEDGER).write_text('[{"uid": 1}]')
    with pytest.raises(Exception, match=LEDGER):
        book.entries()


def test_a_ledger_on_a_full_or_read_only_disk_is_refused(book: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    entry, _ = begun(whole())
    monkeypatch.setattr(LabFolder, "write", _failing(OSError(errno.EROFS, "Read-only file system")))
    with pytest.raises(RefusedError, match="cannot be written"):
        book.save(entry)
    monkeypatch.setattr(LabFolder, "write", _failing(CapacityError("full")))
    with pytest.raises(CapacityError):
        book.save(entry)


def _failing(error: Exception) -> Any:
    def write(self: LabFolder, name: str, text: str) -> None:
        raise error

    return write


def test_a_reset_of_its_node_ends_a_fault() -> None:
    entry = Lab().engine().inject(*begun(whole()))
    assert ledger.aged(entry, {}).state is State.INJECTED
    assert ledger.aged(entry, {"node-2": 4}).state is State.INJECTED
    gone = ledger.aged(entry, {"node-1": 1})
    assert gone.state is State.GONE
    assert gone.notes == ("node-1 was reset",)


def test_an_undo_leaves_a_node_alone_that_was_reset() -> None:
    lab = Lab()
    entry = lab.engine().inject(*begun(whole()))
    lab.node.file("/etc/hosts", "new node\n")
    lab.engine(generations={"node-1": 1}).undo(entry, State.HEALED)
    assert lab.hosts == "new node\n"


def test_teams_see_no_spoiler_and_organisers_see_all() -> None:
    entry = replace(Lab().engine().inject(*begun(whole())), explanation="the answer")
    shown = views.status("team01", [entry]) + json.dumps(views.status_document("team01", [entry]))
    for secret in ("ZZ-01", "B02", "/etc/hosts", "the answer", "mend", "node-1", "one"):
        assert secret not in shown.replace("ones", "")
    told = views.revealed(entry)
    for word in ("ZZ-01", "B02 is ill", "the answer", "mend", "node-1", "one", "+10.0.0.44 node-2"):
        assert word in told


def test_no_way_in_is_touched_by_any_fault_of_the_pool() -> None:
    for scene in SCENES:
        for fault in FAULTS:
            if scene.lab.stage in fault.stages and draw.applies(fault, scene):
                for seed in range(30):
                    assert untouchable(scene.lab, fault.draw(scene, Random(seed))) == []


def test_no_explanation_has_a_name_where_its_value_belongs() -> None:
    for scene in SCENES:
        for fault in FAULTS:
            if scene.lab.stage in fault.stages and draw.applies(fault, scene):
                explanation = fault.draw(scene, Random(0)).explanation
                assert not re.search(r"\{[a-z_.()]*\}", explanation), explanation


@pytest.mark.parametrize("name", ["heal", "status", "verify", "list"])
def test_words_of_sabotage_are_no_team_names(name: str) -> None:
    with pytest.raises(InputError, match="not a team name"):
        teams.expand([name])


def test_all_words_of_sabotage_are_reserved() -> None:
    from labctl.cli.sabotage import sabotage_command

    assert set(sabotage_command.commands) == teams.RESERVED


def test_ids_are_told_from_teams() -> None:
    from labctl.cli.options import ids_and_teams

    words = ("team01..team03", "KS-04", "C07", "BA-01", "b02", "node-1")
    assert ids_and_teams(words) == (("KS-04", "C07", "BA-01"), ("team01..team03", "b02", "node-1"))


def test_ten_teams_without_labs_are_drawn_for_on_paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from labctl.cli.root import root

    monkeypatch.setenv("LABCTL_HOME", str(tmp_path))
    words = ["sabotage", "team01..team10", "--random", "--seed", "monday", "--dry-run", "-o", "json"]
    done = CliRunner().invoke(root, words, catch_exceptions=False)
    found = json.loads(done.stdout)
    assert [each["team"] for each in found] == TEN
    assert len({each["level"] for each in found}) == 1
    assert found == json.loads(CliRunner().invoke(root, words, catch_exceptions=False).stdout)
    assert list(tmp_path.glob("labs/*")) == [], "on paper alone"


@pytest.mark.parametrize("words", [["team01"], ["team01", "--random", "BA-01"]])
def test_a_fault_is_drawn_or_named(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from labctl.cli.root import root

    monkeypatch.setenv("LABCTL_HOME", str(tmp_path))
    with pytest.raises(InputError, match="which fault"):
        CliRunner().invoke(root, ["sabotage", *words], catch_exceptions=False, standalone_mode=False)


def test_what_is_red_already_proves_nothing() -> None:
    from labctl.lab.sabotage import prepare

    lot = draw.Lot(team="team01", order=(FAULTS["BA-05"],), seed="s", candidates=())
    entry, _ = prepare(MINI, FAULTS["BA-05"], lot, covered={"B03", "B02"})
    assert (entry.red, entry.green) == (("B10",), ("B01",))


def test_every_family_of_the_catalogue_is_a_fault_or_is_left_out_for_a_reason() -> None:
    """The numbers are those of the catalogue of 2025.1: 143 families for installed labs; the rest came later."""
    last = {
        "CE": 5,
        "EC": 2,
        "MU": 3,
        "OB": 2,
        "TE": 3,
        "NA": 2,
        "KS": 23,
        "DB": 10,
        "MQ": 7,
        "GL": 8,
        "CP": 18,
        "CN": 16,
        "NW": 29,
        "VO": 16,
        "DA": 7,
        "HE": 3,
        "HO": 7,
    }
    every = {f"{family}-{number:02}" for family, most in last.items() for number in range(1, most + 1)}
    written = {fault.id for fault in FAULTS if "installed" in fault.stages}
    assert not written & LEFT_OUT.keys()
    assert written | LEFT_OUT.keys() == every


def test_what_was_never_verified_is_not_drawn_but_had_by_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = next(scene for scene in SCENES if scene.lab.topology == "gridka" and scene.lab.stage == "installed")
    monkeypatch.setattr(matrix, "shipped", lambda: (seen("KS-04", "cinder"), seen("GL-01", trouble="it heals")))
    assert [fault.id for fault in draw.candidates(cloud)] == ["KS-04"]
    (lot,) = draw.lots(["team01"], draw.candidates(cloud), seed="s", same=False)
    assert {draw.drawn(FAULTS["KS-04"], cloud, replace(lot, seed=str(each))).variant for each in range(20)} == {
        "cinder"
    }
    named = draw.Lot(team="team01", order=(FAULTS["GL-01"],), seed="s", candidates=())
    assert draw.drawn(FAULTS["GL-01"], cloud, named).service == "glance"


def test_what_was_seen_in_a_container_alone_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "shipped", lambda: (replace(seen("GL-01"), virt=matrix.BENCH),))
    assert matrix.proven(FAULTS["GL-01"]) == frozenset()


def test_a_services_own_faults_are_drawn_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = next(scene for scene in SCENES if scene.lab.topology == "allinone" and scene.lab.stage == "installed")
    rows = [seen(fault.id, variant) for fault in FAULTS for variant in fault.variants]
    monkeypatch.setattr(matrix, "shipped", lambda: tuple(rows))
    narrow = replace(cloud, service="cinder")
    found = draw.candidates(narrow)
    assert {"KS-04", "VO-04"} <= {fault.id for fault in found}
    assert not {"GL-01", "KS-18"} & {fault.id for fault in found}
    for fault in found:
        service = fault.draw(replace(narrow, only=frozenset(fault.variants)), Random(0))
        assert service.variant.startswith("cinder") or service.service.startswith("cinder")


def test_a_fault_of_volumes_is_where_they_are_and_one_of_cinder_starts_no_volume_service_elsewhere() -> None:
    scene = next(each for each in SCENES if each.lab.topology == "icehouse" and each.lab.stage == "installed")
    for fault in FAULTS:
        for variant in fault.variants:
            narrow = replace(scene, only=frozenset({variant}))
            if "installed" not in fault.stages or not draw.applies(fault, narrow):
                continue
            drawn = fault.draw(narrow, Random(0))
            typed = {each.node: each.line for each in (*drawn.repair, *drawn.cheat)}
            for each in drawn.breaks:
                target = f"{each.restart} {each.change.target} {typed.get(each.node, '')}"
                for word in ("cinder-volume", "tgt", "lvm.conf"):
                    assert each.node == "osceph0" or word not in target, (fault.id, variant)


def test_a_fault_that_takes_long_weighs_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (seen("KS-04", seconds=10), seen("GL-01", seconds=12), seen("CP-01", seconds=100))
    monkeypatch.setattr(matrix, "shipped", lambda: rows)
    assert [matrix.weight(FAULTS[name]) for name in ("KS-04", "GL-01", "CP-01", "NW-01")] == [1.0, 1.0, 2.0, 1.0]


def test_what_was_seen_is_merged_row_by_row(tmp_path: Path) -> None:
    file = tmp_path / "matrix.json"
    old, new = [seen("KS-04", "nova", trouble="bad"), seen("GL-01")], [seen("KS-04", "nova"), seen("KS-04", "glance")]
    matrix.merge(file, old)
    matrix.merge(file, new)
    rows = matrix.read(file.read_text())
    assert [(row.fault, row.variant, row.ok) for row in rows] == [
        ("GL-01", "", True),
        ("KS-04", "glance", True),
        ("KS-04", "nova", True),
    ]
    file.write_text("[1]")
    with pytest.raises(InputError, match="no matrix"):
        matrix.merge(file, new)


def seen(fault: str, variant: str = "", *, trouble: str = "", seconds: float = 1.0) -> Verified:
    return Verified(
        fault=fault,
        variant=variant,
        level=1,
        virt="qemu",
        topology="allinone",
        node="x",
        trouble=trouble,
        seconds={"detect": seconds},
    )


class Book:
    """The ledger of a lab in memory."""

    def __init__(self, lab: Lab) -> None:
        self.save, self.lab = lab.save, lab

    def open(self) -> list[Entry]:
        last = {each.uid: each for each in self.lab.saved}
        return [each for each in last.values() if each.state in ledger.OPEN]


def on_trial(lab: Lab, fault: Fault, *, check: Any = None, cancelled: threading.Event | None = None) -> Any:
    from labctl.lab.trials import Trial

    engine, mended = lab.engine(check=check or lab.check), HOSTS.replace("node-2", "node-2 # by hand")
    lab.node.answers |= {
        "mend": lambda line, stdin: lab.node.file("/etc/hosts", mended),
        "mend else": lambda line, stdin: lab.node.file("/etc/hosts", f"{mended}# else\n"),
        "cheat": lambda line, stdin: lab.node.file("/etc/hosts", "# nothing\n"),
    }
    return Trial(MINI, engine, Book(lab), (fault, ""), cancelled or threading.Event())  # type: ignore[arg-type]


def thorough() -> Fault:
    change = Line(path="/etc/hosts", match=r"10\.0\.0\.4 (.*)", line=r"10.0.0.44 \1")
    return drawing(
        Break(node="node-1", change=change),
        alternative=(Typed(node="node-1", line="mend else"),),
        cheat=(Typed(node="node-1", line="cheat"),),
    )


def test_a_trial_breaks_the_lab_again_after_each_repair_and_leaves_every_byte_as_it_was() -> None:
    lab = Lab()
    before = lab.node.files["/etc/hosts"]
    seen: list[tuple[bool, str]] = []

    def check(ids: Sequence[str]) -> Report:
        seen.append((lab.check(ids).green, lab.hosts.splitlines()[-1]))
        return lab.check(ids)

    found = on_trial(lab, thorough(), check=check).run()
    assert (found.trouble, found.alternative, found.cheat) == ("", True, True)
    assert lab.node.files["/etc/hosts"] == before
    assert [green for green, _ in seen] == [True, False, False, True, True, True]
    assert [line for _, line in seen[2:5]] == ["# nothing", "10.0.0.4 node-2 # by hand", "# else"]
    assert Book(lab).open() == []


def test_a_lab_that_is_green_again_in_a_moment_is_waited_for_before_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    lab, said = Lab(), [report("B01"), report("B01")]
    assert on_trial(lab, thorough(), check=lambda ids: said.pop() if said else lab.check(ids)).run().ok
    monkeypatch.setattr(Engine, "_patience", lambda self, red: 0)
    found = on_trial(lab, thorough(), check=lambda ids: report("B01")).run()
    assert found.trouble == "the lab of team01 is not green, so a fault could not be proven: B01: B01 is ill"


def test_a_repair_outlives_a_restart_of_what_was_touched_unless_it_is_one() -> None:
    restarts, asked = {}, []
    for line in ("mend; systemctl restart x", "mend"):
        lab = Lab()
        asked.clear()
        change = Line(path="/etc/hosts", match=r"10\.0\.0\.4 (.*)", line=r"10.0.0.44 \1")
        fault = drawing(Break(node="node-1", change=change, restart=("x",)), repair=(Typed(node="node-1", line=line),))

        def check(ids: Sequence[str], lab: Lab = lab) -> Report:
            asked.append(tuple(ids))
            return lab.check(ids)

        trial = on_trial(lab, fault, check=check)
        lab.node.answers |= {line: lab.node.answers["mend"], "heard.*": ""}
        assert trial.run().trouble == ""
        restarts[line] = sum("restart x" in each and each != line for each in lab.node.ran)
    assert restarts["mend"] == restarts["mend; systemctl restart x"] + 1
    assert asked[-3:] == [("B02", "B01")] * 3, "all that it names: repaired; restarted; healed"


def test_what_a_trial_asks_last_is_what_the_next_one_would_ask_first() -> None:
    lab, asked = Lab(), []

    def check(ids: Sequence[str]) -> Report:
        asked.append(tuple(ids))
        return lab.check(ids)

    first, second = (on_trial(lab, thorough(), check=check) for _ in range(2))
    assert first.run(None, ("B03",)).ok
    assert asked[0] == asked[3] == ("B02", "B01"), "green before, and after the repair"
    assert asked[-1] == ("B02", "B01", "B03")
    asked.clear()
    assert second.run(first.report).ok
    assert asked[0] == ("B02", "B01", "B01"), "the first question is whether it shows"


def test_a_trial_whose_heal_leaves_something_says_so_and_leaves_nothing() -> None:
    class Blind(Engine):
        def undo(self, entry: Entry, state: State) -> Entry:
            return replace(entry, state=state)

    lab = Lab()
    before = lab.node.files["/etc/hosts"]
    trial = on_trial(lab, whole())
    trial._engine = Blind(**vars(trial._engine))
    assert "is not as it was" in trial.run().trouble
    assert lab.node.files["/etc/hosts"] == before


def test_a_folder_in_which_checks_make_files_is_as_it_was_but_for_its_time() -> None:
    lab = Lab()
    lab.node.files["/var/tmp"] = File(kind="folder", mode=0o1777, owner="root:root", mtime=1)
    change = Permissions(path="/var/tmp", mode=0o755)

    def check(ids: Sequence[str]) -> Report:
        folder = lab.node.files["/var/tmp"]
        lab.node.files["/var/tmp"] = replace(folder, mtime=folder.mtime + 1)
        return report(*(["B02"] if folder.mode != 0o1777 else []))

    trial = on_trial(lab, drawing(Break(node="node-1", change=change)), check=check)
    lab.node.answers["mend"] = lambda line, stdin: lab.node.files.update(
        {"/var/tmp": replace(lab.node.files["/var/tmp"], mode=0o1777)}
    )
    assert trial.run().trouble == ""


def test_first_variants_are_tried_first_and_those_that_take_longer_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.lab.trials.REPORTS", {"B03"})
    quick, slow = on_trial(Lab(), whole()), on_trial(Lab(), whole(green=("B01", "B05")))
    other = on_trial(Lab(), replace(whole(), variants=("", "other")))
    other._variant = "other"
    change = Line(path="/etc/hosts", match=r"10\.0\.0\.4 (.*)", line=r"10.0.0.44 \1")
    restarting = on_trial(Lab(), drawing(Break(node="node-1", change=change, restart=("x",))))
    silent = on_trial(Lab(), whole(red=("B03",)))
    found = sorted([other, silent, restarting, slow, quick], key=lambda trial: trial.turn)
    assert found == [quick, slow, restarting, silent, other]


def test_what_was_red_a_moment_ago_is_asked_again_before_a_trial() -> None:
    lab, asked = Lab(), []

    def check(ids: Sequence[str]) -> Report:
        asked.append(tuple(ids))
        return lab.check(ids)

    assert on_trial(lab, thorough(), check=check).run(report("B02")).ok
    assert asked[0] == ("B02", "B01")


@pytest.mark.parametrize("harmed", [False, True])
def test_trials_are_good_when_the_rest_of_the_lab_is_green_too(monkeypatch: pytest.MonkeyPatch, harmed: bool) -> None:
    from labctl.lab import verify

    monkeypatch.setattr(verify, "_TOGETHER", 2)
    monkeypatch.setattr(Engine, "_patience", lambda self, red: 0)
    lab, everything = Lab(), [check.id for check in chosen("bare", quick=True)]
    asked: list[str] = []

    def check(ids: Sequence[str]) -> Report:
        if ids == everything:
            asked.append("everything")
            return report(*(["B07"] if harmed else []))
        return lab.check(ids)

    trials = [on_trial(lab, thorough(), check=check) for _ in range(3)]
    kept: list[list[bool]] = []
    found = verify._in_turn(
        trials, trials[0]._engine, "bare", asked.append, lambda rows: kept.append([row.ok for row in rows])
    )
    if harmed:
        assert [row.trouble.split(": ", 1)[1] for row in found] == ["B07: B07 is ill"] * 2, "the third was not tried"
        assert kept == [[False], [False], [False, False]]
        assert "not green any more" in asked[-1]
    else:
        said = ["ZZ-01:"] * 4 + ["everything"] + ["ZZ-01:"] * 2 + ["everything"]
        assert [line.split()[0] for line in asked] == said
        assert asked[5] == "ZZ-01: trial 3 of 3", "as many as an organiser is to wait for"
        assert kept == [[False], [False], [True, True], [False], [True]]
        assert all(row.ok for row in found)


def test_a_trial_that_is_interrupted_asks_no_more_and_leaves_nothing() -> None:
    lab, cancelled, asked = Lab(), threading.Event(), []
    before = lab.node.files["/etc/hosts"]

    def check(ids: Sequence[str]) -> Report:
        asked.append(ids)
        if len(asked) == 3:  # green before, red after, and then the repair's
            cancelled.set()
        return lab.check(ids)

    trial = on_trial(lab, whole(), check=check, cancelled=cancelled)

    def guest(name: str) -> FakeGuest:  # its connections end with the interruption
        if cancelled.is_set():
            raise RemoteError("closed")
        return lab.node

    trial._engine = replace(trial._engine, guest=guest)
    assert trial.run().trouble == "interrupted"
    assert len(asked) == 3
    assert lab.node.files["/etc/hosts"] == before
    assert Book(lab).open() == []


def test_what_a_killed_trial_left_is_restored_before_the_next_one() -> None:
    from labctl.lab import trials

    lab = Lab()
    before = lab.node.files["/etc/hosts"]
    killed = on_trial(lab, thorough())
    killed._engine.act(*killed._prepare())
    trials.restore(lab.engine(), Book(lab), "another seed")  # type: ignore[arg-type]
    assert lab.node.files["/etc/hosts"] != before, "an organiser's own fault stays"
    trials.restore(lab.engine(), Book(lab), "verify-")  # type: ignore[arg-type]
    assert lab.node.files["/etc/hosts"] == before
    assert Book(lab).open() == []


def test_named_faults_are_tried_in_the_order_of_all_faults(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from labctl.lab import verify

    tried: list[str] = []
    engine = SimpleNamespace(wrong=lambda stage: "", virt="qemu")
    monkeypatch.setattr(verify.check, "subject", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(verify, "engine_of", lambda *_: contextlib.nullcontext(engine))
    monkeypatch.setattr(verify, "restore", lambda *_: [])
    monkeypatch.setattr(verify, "_in_turn", lambda trials, *_: tried.extend(trial.name for trial in trials) or [])
    world.create("red")
    verify.verify(world.work(), "red", verify.Wanted(ids=("BA-12", "BA-01")))  # the first one restarts a unit
    assert tried == ["BA-01", "BA-12"]


def test_a_file_says_what_need_not_be_tried_again_in_a_lab_of_the_same_topology(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from labctl.lab import verify

    tried: list[str] = []
    monkeypatch.setattr(verify.check, "subject", lambda *_: contextlib.nullcontext())
    engine = SimpleNamespace(wrong=lambda stage: "", virt="qemu")
    monkeypatch.setattr(verify, "engine_of", lambda *_: contextlib.nullcontext(engine))
    monkeypatch.setattr(verify, "restore", lambda *_: [])
    monkeypatch.setattr(verify, "_in_turn", lambda trials, *_: tried.extend(trial.name for trial in trials) or [])
    world.create("red")
    known = tmp_path / "matrix.json"
    there = {"level": 1, "virt": world.work().site.virt, "node": "node-1"}
    good = Verified(fault="BA-01", topology="mini", **there)
    matrix.merge(known, [good, Verified(fault="BA-12", topology="havana", **there)])
    wanted = verify.Wanted(ids=("BA-01", "BA-12"), matrix=known, resume=True)
    assert verify.verify(world.work(), "red", wanted) == [good]
    assert tried == ["BA-12"]
    tried.clear()
    verify.verify(world.work(), "red", replace(wanted, resume=False))
    assert tried == ["BA-01", "BA-12"]
    tried.clear()
    lesson = tutorial.Lesson(number=1, fault="BA-01", types="ping", shows="lost")
    monkeypatch.setattr(tutorial, "ELEVEN", (lesson,))
    early, late = (replace(good, meets={"ping": came}) for came in ("0 came", "1 lost"))
    for row in (early, late):
        matrix.merge(known, [row])
        world.home.lab("red").remove_file(verify.KEPT)
        verify.verify(world.work(), "red", wanted)
    assert tried == ["BA-01", "BA-12", "BA-12"]
    known.write_text("[1]")
    with pytest.raises(InputError, match=r"matrix.json is no matrix of faults"):
        verify.verify(world.work(), "red", wanted)


def verifying(world: World, monkeypatch: pytest.MonkeyPatch, verify: Callable[..., None]) -> int:
    """Run `sabotage verify red` with something else in the place of a verify; return its exit code."""
    from labctl.cli.errors import guarded
    from labctl.cli.root import root

    world.create("red")
    monkeypatch.setenv("LABCTL_HOME", str(world.home.root))
    monkeypatch.setattr(many.site, "opened", lambda *_, **__: contextlib.nullcontext(world.site()))
    monkeypatch.setattr("labctl.lab.verify.verify", verify)
    return guarded(lambda: root.main(["sabotage", "verify", "red"], prog_name="labctl", standalone_mode=False))


def test_an_interrupted_verify_heals_before_the_command_ends(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def verify(work: Any, team: str, wanted: Any) -> None:
        time.sleep(0.3)  # until the main thread waits
        signal.raise_signal(signal.SIGINT)
        assert work.cancelled.wait(10)
        print("healed")  # noqa: T201

    assert verifying(world, monkeypatch, verify) == 130
    said = capsys.readouterr()
    assert said.out == "healed\n"
    assert "may still be" not in said.err


@pytest.mark.parametrize(
    ("seed", "state", "said"),
    [("verify-1", State.INJECTED, True), ("s", State.MAYBE, True), ("s", State.INJECTED, False)],
)
def test_an_interrupt_says_where_a_fault_may_still_be(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    seed: str,
    state: State,
    said: bool,
) -> None:
    def verify(work: Any, team: str, wanted: Any) -> None:
        entry, _ = begun(whole())
        Ledger(world.home.lab(team)).save(replace(entry, seed=seed, state=state))
        signal.raise_signal(signal.SIGINT)
        assert work.cancelled.wait(10)
        raise RemoteError("node-1: /etc/hosts cannot be healed: it is out of reach")

    assert verifying(world, monkeypatch, verify) == 130
    err = capsys.readouterr().err
    assert ("red: a fault may still be in the lab. Next: labctl sabotage heal red" in err) is said


def test_the_tutorials_eleven_are_faults_of_today() -> None:
    assert {lesson.number for lesson in tutorial.ELEVEN} == set(range(1, 12))
    for lesson in tutorial.ELEVEN:
        assert lesson.variant in FAULTS[lesson.fault].variants, lesson
    assert len({(lesson.fault, lesson.variant) for lesson in tutorial.ELEVEN}) == len(tutorial.ELEVEN)


def test_what_a_learner_meets_is_typed_while_the_fault_is_there_and_tidied_up_when_it_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab, lines = Lab(), [f"line {number}" for number in range(20)]
    lesson = tutorial.Lesson(number=1, fault="ZZ-01", types="openstack x", after="openstack tidy")
    monkeypatch.setattr(tutorial, "ELEVEN", (lesson,))
    when: list[tuple[str, bool]] = []

    def said(word: str) -> Any:
        def answer(line: str, stdin: bytes) -> str:
            when.append((word, lab.hosts == HOSTS))
            return "\n".join(lines)

        return answer

    trial = on_trial(lab, thorough())
    lab.node.answers |= {
        r"\. /root/demo-openrc; \{ openstack x; \} 2>&1": said("met"),
        r"\. /root/demo-openrc; \{ openstack tidy; \} 2>&1": said("tidied"),
    }
    found = trial.run()
    assert found.trouble == ""
    assert found.meets == {"openstack x": "\n".join(lines[-15:])}
    assert when == [("met", False), ("tidied", True)]


def test_what_a_learner_meets_late_is_typed_until_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    lab, slow = Lab(), Slow(monkeypatch)
    monkeypatch.setattr(
        tutorial, "ELEVEN", (tutorial.Lesson(number=1, fault="ZZ-01", types="openstack x", shows="XXX"),)
    )
    says = [":-)", ":-)", "XXX"]
    trial = on_trial(lab, thorough())
    trial._engine = replace(trial._engine, cancelled=slow)
    lab.node.answers |= {r"\. /root/demo-openrc; \{ openstack x; \} 2>&1": lambda line, stdin: says.pop(0)}
    assert trial.run().meets == {"openstack x": "XXX"}
    assert says == []


def test_the_page_of_the_eleven_shows_what_was_seen_and_nothing_else() -> None:
    page = matrix_views.eleven([])
    assert page.count("What comes was not recorded yet.") == len(tutorial.ELEVEN)
    row = replace(seen("GL-01"), meets={"openstack image list": "HTTP 503\nmore"}, red={"C02:glance": "refused"})
    page = matrix_views.eleven([row])
    assert "$ openstack image list\nHTTP 503\nmore\n```" in page
    assert page.count("What comes was not recorded yet.") == len(tutorial.ELEVEN) - 1
    assert "What `labctl check` said on allinone (emulated): C02:glance: refused" in matrix_views.eleven(
        [replace(row, meets={})]
    )
    assert "$ openstack image list\n```" in matrix_views.eleven([replace(row, trouble="it heals by itself")])
    early = replace(seen("NW-04"), meets={"openstack network agent list": "| :-) |"})
    assert "| :-) |" not in matrix_views.eleven([early])
    assert "| XXX |" in matrix_views.eleven([replace(early, meets={"openstack network agent list": "| XXX |"})])


@pytest.mark.parametrize("right", ["172.16.1.9", "172.20.0.9", "192.168.0.9", "10.0.0.9", "172.11.0.1", "10.5.0.1"])
def test_addresses_that_look_like_the_right_ones_are_addresses_and_others(right: str) -> None:
    wrong = nw10_similar._similar(IPAddress(right))
    assert IPAddress(right) not in wrong
    assert wrong.prefixlen == 24


def test_a_fault_that_offers_a_lab_what_it_cannot_have_is_refused() -> None:
    def drawn(scene: Scene, random: Random) -> Drawn:
        """Break a name, or nothing."""
        variant, _ = scene.choose(random, {"cinder": 1, "heat": 2, "nova": 3})
        if scene.only is None and variant != lucky:
            raise LookupError("no such thing")
        return replace(whole().draw(scene, random), variant=variant)

    lucky = Random(0).choice(["cinder", "heat", "nova"])  # what a first look finds
    cloud = next(scene for scene in SCENES if scene.lab.topology == "allinone" and scene.lab.stage == "installed")
    fault = whole(draw=drawn, variants=("cinder", "heat", "nova"), stages=("installed",))
    assert "it offers allinone a variant that does not fit: no such thing" in "\n".join(lint.problems(fault, [cloud]))


def test_a_variant_that_does_not_fit_is_never_chosen() -> None:
    lab = replace(MINI.lab, nodes=tuple(replace(node, roles=("one", "two")) for node in MINI.lab.nodes))

    def fits(name: str) -> None:
        if name == "two":
            raise LookupError

    scene = Scene(lab=lab)
    assert {scene.choose(Random(seed), {"one": 1, "two": 2}, fits)[0] for seed in range(9)} == {"one"}


@pytest.mark.parametrize("topology", ["gridka", "allinone", "havana"])
def test_a_lab_that_lacks_a_role_or_all_nodes_but_one_is_drawn_for_like_any_other(topology: str) -> None:
    """A fault says what it cannot have by LookupError and by nothing else, whatever the lab is like."""
    lab = next(scene.lab for scene in SCENES if scene.lab.topology == topology and scene.lab.stage == "installed")
    roles = sorted({role for node in lab.nodes for role in node.roles})
    labs = [
        replace(lab, nodes=tuple(replace(each, roles=tuple(r for r in each.roles if r != role)) for each in lab.nodes))
        for role in roles
    ]
    labs += [replace(lab, nodes=lab.nodes[:1]), replace(lab, hosts=())]
    for each in labs:
        for fault in FAULTS:
            if "installed" in fault.stages:
                draw.applies(fault, Scene(lab=each))
