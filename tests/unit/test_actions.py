"""The installer's vocabulary on a machine that is a table: what is done, and that it is done once."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labctl.actions import Doing, Ini, Packages, PutFile, Python, Run, Unit, Wait, masked
from labctl.errors import DeadlineError, InputError
from labctl.ini import set_values
from labctl.quoting import ini, sql, sql_name
from labctl.remote.transport import Result


@dataclass
class Table:
    """A machine with files and units; a command that it does not know is an error of the test."""

    name: str = "node"
    files: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    enabled: set[str] = field(default_factory=set)
    masked: set[str] = field(default_factory=set)
    active: set[str] = field(default_factory=set)
    installed: set[str] = field(default_factory=set)
    answers: dict[str, list[int]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    received: list[bytes | None] = field(default_factory=list)

    def run(self, command: str, *, timeout: float, stdin: bytes | None = None, **options: Any) -> Result:
        self.ran.append(command)
        self.received.append(stdin)
        code, said = self._answer(command)
        return Result(exit_code=code, stdout=said, stderr="")

    def put(self, content: bytes, path: str, *, mode: int = 0o644, owner: str | None = None) -> None:
        self.files[path] = (f"{mode:o}", owner or "root:root", content.decode())

    def _answer(self, command: str) -> tuple[int, str]:
        if command in self.answers:
            return self.answers[command].pop(0), ""
        if found := re.fullmatch(r"test -e (.+?) \|\| exit 3; stat .*", command):
            path = shlex.split(found[1])[0]
            if path not in self.files:
                return 3, ""
            mode, owner, content = self.files[path]
            return 0, f"{mode} {owner}\n{content}"
        if command.startswith("systemctl is-enabled "):
            names = command.partition("; ")[0].split()[2:]
            enabled = ["masked" if n in self.masked else "enabled" if n in self.enabled else "disabled" for n in names]
            return 0, "\n".join([*enabled, *("active" if n in self.active else "inactive" for n in names)])
        if found := re.match(r"systemctl unmask --quiet (.*)", command):
            self.masked -= set(found[1].split())
            return 0, ""
        if found := re.match(r"SYSTEMCTL_SKIP_SYSV=1 systemctl enable --quiet --no-reload (.*)", command):
            assert not self.masked & set(found[1].split())
            self.enabled |= set(found[1].split())
            return 0, ""
        if found := re.match(r"systemctl --quiet (?:start|restart) (.*?) \|\|", command):
            self.active |= set(found[1].split())
            return 0, ""
        if command.startswith("check() "):
            missing = set(command.rpartition("; check ")[2].split()) - self.installed
            return 0, "missing\n" * len(missing)
        if "apt-get" in command:
            self.installed |= set(command.rpartition("; install ")[2].split())
            return 0, ""
        raise AssertionError(f"unhandled command: {command}")


def doing(machine: Table, **changes: Any) -> Doing:
    return Doing(machine=machine, say=lambda line: None, **changes)


def test_a_file_is_written_once() -> None:
    machine = Table()
    action = PutFile(path="/etc/a file", content="one\ntwo\n", mode=0o600, owner="nova:nova")
    assert action.apply(doing(machine))
    assert machine.files["/etc/a file"] == ("600", "nova:nova", "one\ntwo\n")
    assert not action.apply(doing(machine))


def test_a_file_that_somebody_changed_is_set_right() -> None:
    action = PutFile(path="/etc/file", content="right\n")
    machine = Table(files={"/etc/file": ("644", "root:root", "wrong\n")})
    assert action.apply(doing(machine))
    machine.files["/etc/file"] = ("666", "root:root", "right\n")
    assert action.apply(doing(machine)), "its mode counts too"


def test_an_ini_file_keeps_owner_mode_and_all_that_is_not_set() -> None:
    machine = Table(files={"/etc/nova/nova.conf": ("640", "root:nova", "# ours\n[DEFAULT]\nx = 1\n")})
    action = Ini(path="/etc/nova/nova.conf", values={"DEFAULT": {"my_ip": "10.0.0.6"}})
    assert action.apply(doing(machine))
    assert machine.files["/etc/nova/nova.conf"] == ("640", "root:nova", "# ours\n[DEFAULT]\nmy_ip = 10.0.0.6\nx = 1\n")
    assert not action.apply(doing(machine))


def test_units_are_unmasked_enabled_and_started() -> None:
    machine = Table(masked={"keystone"})
    action = Unit(names=("keystone",))
    assert action.apply(doing(machine))
    assert (machine.masked, machine.enabled, machine.active) == (set(), {"keystone"}, {"keystone"})
    assert not action.apply(doing(machine))


def test_a_unit_that_runs_is_restarted_only_when_something_changed() -> None:
    machine = Table(enabled={"apache2"}, active={"apache2"})
    assert not Unit(names=("apache2",)).apply(doing(machine))
    assert Unit(names=("apache2",)).apply(doing(machine, changed=True))
    assert any(command.startswith("systemctl --quiet restart apache2") for command in machine.ran)


def test_only_missing_packages_are_installed() -> None:
    machine = Table(installed={"curl"})
    action = Packages(names=("curl", "keystone"))
    assert action.apply(doing(machine))
    assert not action.apply(doing(machine))


def test_packages_start_nothing_but_tell_dbus_of_new_users(tmp_path: Path) -> None:
    machine = Table()
    Packages(names=("polkitd",)).apply(doing(machine))
    (policy,) = re.findall("printf '(.*)' >/usr/sbin/policy-rc.d", machine.ran[-1])
    script = tmp_path / "policy-rc.d"
    script.write_text(policy.replace(r"\n", "\n"))
    asked = (("dbus", "reload"), ("dbus", "restart"), ("keystone", "reload"), ("keystone", "start"))
    assert [subprocess.run(["sh", script, *each]).returncode for each in asked] == [0, 101, 101, 101]


def test_a_command_is_not_run_when_its_effect_is_there() -> None:
    machine = Table(answers={"test -e /key": [0], "make-key": []})
    assert not Run(command="make-key", unless="test -e /key").apply(doing(machine))
    machine = Table(answers={"test -e /key": [1], "make-key": [0]})
    assert Run(command="make-key", unless="test -e /key", stdin="word\n").apply(doing(machine))
    assert machine.received[-1] == b"word\n"


def test_a_program_gets_its_data_and_says_whether_it_changed_anything() -> None:
    machine = Table(answers={"python3 -": [0]})
    action = Python(title="make", source="def main(data):\n    pass\n", data={"a": 'it\'s "quoted"\n'})
    assert not action.apply(doing(machine))
    program = (machine.received[-1] or b"").decode()
    seen: list[Any] = []
    exec(program.replace("def main(data):\n    pass", "main = seen.append"), {"seen": seen})
    assert seen == [{"a": 'it\'s "quoted"\n'}]


def test_waiting_asks_again_until_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wait, "pause", 0.0)
    machine = Table(answers={"probe": [1, 1, 0]})
    assert not Wait(until="probe", what="it answers").apply(doing(machine))
    assert machine.ran == ["probe"] * 3


def test_waiting_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wait, "pause", 0.0)
    machine = Table(answers={"probe": [1] * 100000})
    with pytest.raises(DeadlineError, match="not yet: it answers"):
        Wait(until="probe", what="it answers", seconds=0.05).apply(doing(machine))


def test_digests_differ_with_every_field() -> None:
    actions = [Run(command="a"), Run(command="b"), Run(command="a", stdin="x"), PutFile(path="a", content="")]
    assert len({action.digest for action in actions}) == len(actions)
    assert Run(command="a").digest == Run(command="a").digest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[a]\nx = 1\n[b]\nx = 2\n", "[a]\nx = 9\n[b]\nx = 2\n"),
        ("[a]\n#x = <none>\n# more\n", "[a]\n#x = <none>\nx = 9\n# more\n"),
        ("[b]\ny = 1\n", "[b]\ny = 1\n\n[a]\nx = 9\n"),
        ("[a]\nx = 1\n    2\n    3\ny = 4\n", "[a]\nx = 9\ny = 4\n"),
        ("[a]\nx = 1\nx = 2\n", "[a]\nx = 9\n"),
        ("[a]\nxx = 1\n", "[a]\nx = 9\nxx = 1\n"),
        ("", "[a]\nx = 9\n"),
    ],
)
def test_an_option_is_set_where_it_belongs(before: str, after: str) -> None:
    assert set_values(before, {"a": {"x": 9}}) == after
    assert set_values(after, {"a": {"x": 9}}) == after


def test_an_option_is_removed() -> None:
    assert set_values("[a]\nx = 1\ny = 2\n", {"a": {"x": None}}) == "[a]\ny = 2\n"
    assert set_values("[a]\ny = 2\n", {"b": {"x": None}}) == "[a]\ny = 2\n"


def test_values_are_written_as_oslo_config_reads_them() -> None:
    assert set_values("", {"a": {"x": True, "y": ("one", "two")}}) == "[a]\nx = true\ny = one,two\n"


@pytest.mark.parametrize("value", ["two\nlines", " blank", "end "])
def test_what_an_ini_file_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(InputError):
        ini(value)


def test_sql_is_quoted() -> None:
    assert sql("it's \\ here") == "'it''s \\\\ here'"
    assert sql_name("a`b") == "`a``b`"


def test_secrets_are_masked_the_longest_first() -> None:
    assert masked("key abcdef and abcdefgh", {"one": "abcdef", "two": "abcdefgh"}) == "key <one> and <two>"
    assert masked("abc", {"short": "abc"}) == "abc", "short words would blot out innocent ones"
