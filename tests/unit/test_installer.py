"""The installer: order, journal, failures, logs; on a machine that is a table of files and units."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labctl.changes import Action, Context, Ini, Line, Packages, PutFile, Python, Run, Unit, Wait
from labctl.errors import RemoteError
from labctl.guest import File, Result
from labctl.guest.fake import FakeGuest
from labctl.installing import preview
from labctl.installing.installer import Installer
from labctl.installing.journal import Journal
from labctl.installing.tasks import Task
from labctl.roles.role import Step
from labctl.site.together import Cancelled
from tests.unit.test_roles import cloud


@dataclass
class Commands:
    """A machine that notes commands and fails those that it is told to."""

    name: str = "db-node"
    failing: dict[str, str] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    states: str = "enabled\nactive\n"

    def run(
        self, command: str, *, timeout: float, stdin: Any = None, check: bool = True, on_output: Any = None
    ) -> Result:
        self.ran.append(command)
        if command.startswith("systemctl is-enabled"):
            return Result(exit_code=0, stdout=self.states, stderr="")
        if command in self.failing:
            if on_output:
                on_output(self.failing[command])
            raise RemoteError(f"{self.name}: {command} failed", details=self.failing[command])
        return Result(exit_code=0, stdout="", stderr="")

    def put(self, content: bytes, path: str, **options: Any) -> None:
        raise AssertionError("nothing is put here")

    def read(self, path: str, *, timeout: float = 120.0) -> bytes:
        raise AssertionError("nothing is read here")

    def look(self, path: str, *, timeout: float = 120.0) -> File | None:
        raise AssertionError("nothing is looked at here")


@dataclass(frozen=True, kw_only=True)
class Change(Action):
    """Changes something each time, as a file that differs does."""

    def apply(self, context: Context) -> bool:
        context.act("changing")
        context.run("change", timeout=1)
        return True


def task(name: str, *actions: Action, needs: tuple[str, ...] = (), live: bool = False) -> Task:
    step = Step(title=f"{name} is done", node="db-node", actions=actions, live=live)
    return Task(name=name, role="mariadb", node="db-node", steps=(step,), needs=needs)


def installer(path: Path, machine: Commands | FakeGuest, **changes: Any) -> Installer:
    values: dict[str, Any] = {
        "cloud": cloud("gridka", admin="top-secret-word"),
        "guest": lambda name: machine,
        "journal": Journal(path / "journal", {}),
        "logs": path / "logs",
        "slow": 1,
        "live": True,
        "jobs": 4,
        "report": lambda *said: None,
        "cancelled": threading.Event(),
        "remedy": "run it again",
    }
    return Installer(**(values | changes))


def test_what_is_needed_comes_first(tmp_path: Path) -> None:
    machine = Commands()
    tasks = [task("late", Run(command="second"), needs=("early",)), task("early", Run(command="first"))]
    outcome = installer(tmp_path, machine).run(tasks)
    assert machine.ran == ["first", "second"]
    assert outcome.changed == ("db-node: early is done", "db-node: late is done")


def test_what_is_done_once_is_not_done_again_by_another_run(tmp_path: Path) -> None:
    tasks = [task("only", Run(command="create"))]
    installer(tmp_path, Commands()).run(tasks)
    machine = Commands()
    outcome = installer(tmp_path, machine).run(tasks)
    assert machine.ran == []
    assert outcome.changed == ()


def test_a_node_that_was_made_anew_voids_what_was_done_on_it(tmp_path: Path) -> None:
    tasks = [task("only", Run(command="create"))]
    installer(tmp_path, Commands()).run(tasks)
    machine = Commands()
    installer(tmp_path, machine, journal=Journal(tmp_path / "journal", {"db-node": 1})).run(tasks)
    assert machine.ran == ["create"]


def test_a_line_that_a_crash_cut_off_costs_only_itself(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", {})
    journal.note("db-node:one", ["db-node"])
    with (tmp_path / "journal").open("a") as file:
        file.write('["db-node:two", {"db')
    again = Journal(tmp_path / "journal", {})
    again.note("db-node:three", ["db-node"])
    last = Journal(tmp_path / "journal", {})
    assert [last.holds(f"db-node:{key}") for key in ("one", "two", "three")] == [True, False, True]


def test_a_failure_names_step_cause_log_and_remedy_and_nothing_new_begins(tmp_path: Path) -> None:
    machine = Commands(failing={"break": "no space left"})
    tasks = [task("bad", Run(command="break")), task("next", Run(command="never"), needs=("bad",))]
    with pytest.raises(RemoteError, match="db-node: bad is done: failed") as caught:
        installer(tmp_path, machine).run(tasks)
    assert "no space left" in caught.value.details
    log = Path(caught.value.details.rpartition("The whole log: ")[2])
    assert "no space left" in log.read_text()
    assert caught.value.remedy == "run it again"
    assert "never" not in machine.ran


def test_units_of_an_interrupted_step_are_restarted_by_the_next_run(tmp_path: Path) -> None:
    class Interrupted(Commands):
        def run(self, command: str, **options: Any) -> Result:
            if command.startswith("systemctl is-enabled"):
                raise RemoteError("the connection was lost")
            return super().run(command, **options)

    with pytest.raises(RemoteError):
        installer(tmp_path, Interrupted()).run([task("service", Change(), Unit(names=("mariadb",)))])
    machine = Commands()
    installer(tmp_path, machine).run([task("service", Unit(names=("mariadb",)))])
    assert any(command.startswith("systemctl --quiet restart mariadb") for command in machine.ran)
    settled = Commands()
    installer(tmp_path, settled).run([task("service", Unit(names=("mariadb",)))])
    assert not any("restart" in command for command in settled.ran)


class Landing(FakeGuest):
    """A guest in which a file lands, and nobody hears of it any more."""

    lost: BaseException | None = None

    def put(self, content: bytes, path: str, **options: Any) -> None:
        super().put(content, path, **options)
        if self.lost is not None:
            raise self.lost


@pytest.mark.parametrize("lost", [RemoteError("the connection was lost"), SystemExit("killed")])
def test_a_file_that_landed_before_everything_was_lost_restarts_its_unit(tmp_path: Path, lost: BaseException) -> None:
    actions = (PutFile(path="/etc/my.cnf", content="[mysqld]"), Unit(names=("mariadb",)))
    guest = Landing(units={"mariadb": ("enabled", "active")})
    guest.lost = lost
    with pytest.raises(type(lost)):
        installer(tmp_path, guest).run([task("service", *actions)])
    assert guest.files["/etc/my.cnf"].content == b"[mysqld]"
    guest.lost = None
    outcome = installer(tmp_path, guest).run([task("service", *actions)])
    assert [line for line in guest.ran if "restart" in line] == [
        "systemctl --quiet restart mariadb || { systemctl status --no-pager --lines=20 mariadb; exit 1; }"
    ]
    assert outcome.changed == ("db-node: service is done",)


def test_a_program_that_finds_nothing_to_change_restarts_nothing(tmp_path: Path) -> None:
    guest = FakeGuest(units={"mariadb": ("enabled", "active")}, answers={"python3 -": ""})
    program = Python(title="make users", source="def main(data): pass", data={})
    installer(tmp_path, guest).run([task("service", program, Unit(names=("mariadb",)))])
    assert not any("restart" in line for line in guest.ran)


def test_units_of_a_later_step_take_notice_of_what_an_earlier_one_changed(tmp_path: Path) -> None:
    steps = (
        Step(title="configuration", node="db-node", actions=(Change(),)),
        Step(title="units", node="db-node", actions=(Unit(names=("mariadb",)),)),
    )
    machine = Commands()
    both = Task(name="service", role="mariadb", node="db-node", steps=steps)
    outcome = installer(tmp_path, machine).run([both])
    assert any(command.startswith("systemctl --quiet restart mariadb") for command in machine.ran)
    assert len(outcome.changed) == 2


def test_steps_that_need_a_kernel_are_left_out_of_containers(tmp_path: Path) -> None:
    machine = Commands()
    tasks = [task("kernel", Run(command="modprobe"), live=True), task("file", Run(command="write"))]
    installer(tmp_path, machine, live=False).run(tasks)
    assert machine.ran == ["write"]


def test_a_cancelled_run_says_so(tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        installer(tmp_path, Commands(), cancelled=cancelled).run([task("only", Run(command="create"))])


def test_logs_are_masked_and_for_their_owner_alone(tmp_path: Path) -> None:
    installer(tmp_path, Commands()).run([task("only", Run(command="login top-secret-word"))])
    (log,) = (tmp_path / "logs").iterdir()
    assert "login <admin>" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_a_preview_says_what_differs_and_changes_nothing(tmp_path: Path) -> None:
    guest = FakeGuest(units={"mariadb": ("enabled", "active"), "tgt": ("disabled", "inactive")})
    guest.answers |= {r"check\(\) .*": "", "test -e /there": 0, "test -e /missing": 1}
    guest.file("/etc/right", "same\n")
    guest.file("/etc/wrong", "# theirs\nword = spoiled\n")
    before = dict(guest.files), dict(guest.units)
    step = (
        PutFile(path="/etc/right", content="same\n"),
        PutFile(path="/etc/wrong", content="word = top-secret-word\n"),
        Ini(path="/etc/new", values={"a": {"b": "c"}}),
        Line(path="/etc/nowhere", match="x", line="y"),
        Unit(names=("mariadb",)),
        Unit(names=("tgt",)),
        Packages(names=("curl",)),
        Run(command="done before"),
        Run(command="make it", unless="test -e /missing"),
        Run(command="make that", unless="test -e /there"),
        Wait(until="never", what="never"),
    )
    journal = Journal(tmp_path / "journal", {})
    journal.note(f"db-node:{Run(command='done before').digest}", ["db-node"])
    secrets = {"admin": "top-secret-word"}
    whole, idle = task("whole", *step), task("idle", step[0], step[4])
    (found,) = preview.pending([whole, idle], lambda name: guest, journal, secrets=secrets, slow=1)
    said = "\n".join(found.lines)
    assert (found.task, found.step) == (whole, whole.steps[0])
    for line in ("-# theirs", "+word = <admin>", "+b = c", "tgt: disabled inactive -> enabled active", "run make it"):
        assert line in said
    for word in ("right", "mariadb", "curl", "done before", "make that", "never", "top-secret-word"):
        assert word not in said
    assert "change lines of /etc/nowhere" in said, "what an earlier step has yet to make is described"
    assert (guest.files, guest.units) == before
