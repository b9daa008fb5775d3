"""Actions and changes on a guest that is a table: what is done, that it is done once, and that it can be undone."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labctl.changes import (
    Absent,
    Account,
    Broker,
    Card,
    Context,
    Double,
    Ini,
    Line,
    Outcome,
    Packages,
    Permissions,
    PutFile,
    Python,
    RaiseAbove,
    Record,
    Rename,
    Respell,
    Run,
    Stopped,
    Thing,
    Unit,
    UnitState,
    Value,
    Variable,
    Wait,
)
from labctl.changes import undo as undoing
from labctl.changes.cards import CARDS
from labctl.changes.space import FILLERS
from labctl.errors import DeadlineError, InputError
from labctl.guest import File, Result
from labctl.guest.agent import AgentGuest
from labctl.guest.fake import Answer, FakeGuest
from labctl.ini import set_values
from labctl.quoting import ini, sql, sql_name


def context(guest: FakeGuest, **changes: Any) -> Context:
    return Context(guest=guest, say=lambda line: None, **changes)


def shell(guest: FakeGuest, *installed: str) -> FakeGuest:
    """Have packages in a guest; what is installed is there afterwards."""
    there = set(installed)

    def missing(line: str, stdin: bytes) -> str:
        return "missing\n" * len(set(line.rpartition("; check ")[2].split()) - there)

    def install(line: str, stdin: bytes) -> int:
        there.update(line.rpartition("; install ")[2].split())
        return 0

    guest.answers |= {r"check\(\) .*": missing, ".*apt-get.*": install}
    return guest


def turns(*codes: int) -> Answer:
    left = list(codes)
    return lambda line, stdin: left.pop(0)


def seen(guest: FakeGuest, path: str) -> tuple[int, str, str]:
    file = guest.files[path]
    return file.mode, file.owner, file.content.decode()


def test_a_file_is_written_once() -> None:
    machine = FakeGuest()
    action = PutFile(path="/etc/a file", content="one\ntwo\n", mode=0o600, owner="nova:nova")
    assert action.apply(context(machine))
    assert seen(machine, "/etc/a file") == (0o600, "nova:nova", "one\ntwo\n")
    assert not action.apply(context(machine))


def test_a_file_that_somebody_changed_is_set_right() -> None:
    action = PutFile(path="/etc/file", content="right\n")
    machine = FakeGuest()
    machine.file("/etc/file", "wrong\n")
    assert action.apply(context(machine))
    machine.file("/etc/file", "right\n", mode=0o666)
    assert action.apply(context(machine)), "its mode counts too"


def test_an_ini_file_keeps_owner_mode_and_all_that_is_not_set() -> None:
    machine = FakeGuest()
    machine.file("/etc/nova/nova.conf", "# ours\n[DEFAULT]\nx = 1\n", mode=0o640, owner="root:nova")
    action = Ini(path="/etc/nova/nova.conf", values={"DEFAULT": {"my_ip": "10.0.0.6"}})
    assert action.apply(context(machine))
    assert seen(machine, "/etc/nova/nova.conf") == (
        0o640,
        "root:nova",
        "# ours\n[DEFAULT]\nmy_ip = 10.0.0.6\nx = 1\n",
    )
    assert not action.apply(context(machine))


def test_units_are_unmasked_enabled_and_started() -> None:
    machine = FakeGuest(units={"keystone": ("masked", "inactive")})
    action = Unit(names=("keystone",))
    assert action.apply(context(machine))
    assert machine.units == {"keystone": ("enabled", "active")}
    assert not action.apply(context(machine))


def test_a_unit_that_runs_is_restarted_only_when_something_changed() -> None:
    machine = FakeGuest(units={"apache2": ("enabled", "active")})
    assert not Unit(names=("apache2",)).apply(context(machine))
    assert Unit(names=("apache2",)).apply(context(machine, changed=True))
    assert any(command.startswith("systemctl --quiet restart apache2") for command in machine.ran)


def test_only_missing_packages_are_installed() -> None:
    machine = shell(FakeGuest(), "curl")
    action = Packages(names=("curl", "keystone"))
    assert action.apply(context(machine))
    assert not action.apply(context(machine))


def test_packages_start_nothing_but_tell_dbus_of_new_users(tmp_path: Path) -> None:
    machine = shell(FakeGuest())
    Packages(names=("polkitd",)).apply(context(machine))
    (policy,) = re.findall("printf '(.*)' >/usr/sbin/policy-rc.d", machine.ran[-1])
    script = tmp_path / "policy-rc.d"
    script.write_text(policy.replace(r"\n", "\n"))
    asked = (("dbus", "reload"), ("dbus", "restart"), ("keystone", "reload"), ("keystone", "start"))
    assert [subprocess.run(["sh", script, *each]).returncode for each in asked] == [0, 101, 101, 101]


def test_a_command_is_not_run_when_its_effect_is_there() -> None:
    machine = FakeGuest(answers={"test -e /key": 0})
    assert not Run(command="make-key", unless="test -e /key").apply(context(machine))
    machine = FakeGuest(answers={"test -e /key": 1, "make-key": 0})
    assert Run(command="make-key", unless="test -e /key", stdin="word\n").apply(context(machine))
    assert machine.received[-1] == b"word\n"


def test_a_program_gets_its_data_and_says_whether_it_changed_anything() -> None:
    machine = FakeGuest(answers={"python3 -": 0})
    action = Python(title="make", source="def main(data):\n    pass\n", data={"a": 'it\'s "quoted"\n'})
    assert not action.apply(context(machine))
    program = (machine.received[-1]).decode()
    seen: list[Any] = []
    exec(program.replace("def main(data):\n    pass", "main = seen.append"), {"seen": seen})
    assert seen == [{"a": 'it\'s "quoted"\n'}]


def test_waiting_asks_again_until_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wait, "pause", 0.0)
    machine = FakeGuest(answers={"probe": turns(1, 1, 0)})
    assert not Wait(until="probe", what="it answers").apply(context(machine))
    assert machine.ran == ["probe"] * 3


def test_waiting_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wait, "pause", 0.0)
    machine = FakeGuest(answers={"probe": 1})
    with pytest.raises(DeadlineError, match="not yet: it answers"):
        Wait(until="probe", what="it answers", seconds=0.05).apply(context(machine))


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


def test_a_record_is_json_and_has_both_faces_of_a_file() -> None:
    guest = FakeGuest()
    guest.file("/etc/hosts", "127.0.0.1 localhost\n10.0.0.3 node-1\n", mode=0o644)
    change = Line(path="/etc/hosts", match=r"10\.0\.0\.3 (.*)", line=r"10.0.0.33 \1")
    made = undoing.record(change, context(guest))
    assert guest.ran == []
    again = Record.of(json.loads(json.dumps(made.document())))
    assert again == made
    assert "-10.0.0.3 node-1" in undoing.difference(again)
    assert "+10.0.0.33 node-1" in undoing.difference(again)


def test_an_undo_restores_every_byte_owner_mode_and_time() -> None:
    guest = FakeGuest()
    guest.files["/etc/motd"] = File(kind="file", mode=0o640, owner="root:adm", mtime=12_345_678_901, content=b"\xff\n")
    before = guest.files["/etc/motd"]
    made = undoing.act(undoing.record(PutFile(path="/etc/motd", content="x"), context(guest)), context(guest))
    assert guest.files["/etc/motd"].mtime == before.mtime, "a change leaves no trace in the file's time"
    assert undoing.undo(made, context(guest)) is Outcome.RESTORED
    assert guest.files["/etc/motd"] == before
    assert undoing.undo(made, context(guest)) is Outcome.MENDED, "twice is harmless"


def test_an_undo_leaves_what_somebody_else_changed_since() -> None:
    guest = FakeGuest()
    guest.file("/etc/hosts", "right\n")
    made = undoing.act(undoing.record(PutFile(path="/etc/hosts", content="wrong\n"), context(guest)), context(guest))
    guest.file("/etc/hosts", "right\n# and a word of my own\n")
    assert undoing.undo(made, context(guest)) is Outcome.FOREIGN
    assert guest.files["/etc/hosts"].content == b"right\n# and a word of my own\n"


def test_an_undo_of_what_never_happened_does_nothing() -> None:
    guest = FakeGuest()
    guest.file("/etc/hosts", "right\n")
    made = undoing.record(PutFile(path="/etc/hosts", content="wrong\n"), context(guest))
    assert undoing.undo(made, context(guest)) is Outcome.MENDED


@pytest.mark.parametrize("state", ["masked", "masked-runtime"])
def test_a_masked_unit_comes_back_enabled_and_running(state: Any) -> None:
    guest = FakeGuest(units={"chrony": ("enabled", "active")})
    change = UnitState(name="chrony", active=False, enabled=state)
    made = undoing.act(undoing.record(change, context(guest)), context(guest))
    assert guest.units["chrony"] == (state, "inactive")
    assert undoing.undo(made, context(guest)) is Outcome.RESTORED
    assert guest.units["chrony"] == ("enabled", "active")


def test_a_line_that_is_not_there_is_no_change() -> None:
    guest = FakeGuest()
    guest.file("/etc/hosts", "127.0.0.1 localhost\n")
    with pytest.raises(InputError, match="no line"):
        undoing.record(Line(path="/etc/hosts", match="10.*", line="x"), context(guest))


def test_what_reads_a_file_is_restarted_with_the_change_and_with_its_undo() -> None:
    guest = FakeGuest(answers={".*systemctl reset-failed chrony .*": 0})
    guest.file("/etc/chrony.conf", "right\n")
    change = PutFile(path="/etc/chrony.conf", content="wrong\n")
    made = undoing.act(undoing.record(change, context(guest), restart=("chrony",)), context(guest))
    undoing.undo(made, context(guest))
    assert len([line for line in guest.ran if "restart chrony" in line]) == 2


def test_a_card_that_is_down_loses_routes_and_addresses_and_is_still_what_was_injected() -> None:
    before = {"up": True, "mtu": 1500, "addresses": ["10.0.0.3/24"], "routes": ["10.9.0.0/16 via 10.0.0.1"]}
    assert CARDS.same({**before, "up": False}, {**before, "up": False, "routes": []})
    assert CARDS.same({**before, "up": False}, {**before, "up": False, "addresses": [], "routes": []})
    assert not CARDS.same(before, {**before, "addresses": []})
    assert not CARDS.same(before, {**before, "routes": []})


def test_cards_are_read_from_ip() -> None:
    said = (
        '[{"ifname":"eth1","addr_info":[{"local":"10.0.0.3","prefixlen":24}]}]\n'
        '[{"flags":["BROADCAST","UP"],"mtu":1500}]\n[{"dst":"10.0.0.0/24","protocol":"kernel"},{"dst":"default",'
        '"gateway":"10.0.0.1","metric":5,"protocol":"static"}]\n'
    )
    guest = FakeGuest(answers={"ip -j .*": said, "set -e; .*": 0})
    change = Card(card="eth1", mtu=1400, address="10.0.0.13/24")
    made = undoing.record(change, context(guest))
    assert made.before["routes"] == ["default via 10.0.0.1 metric 5"]
    undoing.act(made, context(guest))
    script = next(line for line in guest.ran if line.startswith("set -e"))
    assert script == (
        "set -e; ip link set dev eth1 mtu 1400; ip addr del 10.0.0.3/24 dev eth1; "
        "ip addr add 10.0.0.13/24 brd + dev eth1"
    )


def test_the_agent_is_a_guest_too() -> None:
    seen: list[tuple[str, bytes]] = []

    def inside(script: str, *, stdin: bytes, timeout: float) -> Result:
        seen.append((script, stdin))
        return Result(exit_code=0, stdout="81a4 644 root:root 1700000000.000000005\nYQo=", stderr="")

    guest = AgentGuest("node-1", inside)
    assert guest.look("/etc/hosts") == File(
        kind="file", mode=0o644, owner="root:root", mtime=1_700_000_000_000_000_005, content=b"a\n"
    )
    guest.put(b"x", "/etc/hosts", mtime=5)
    assert seen[-1][1] == b"x"


def test_a_file_of_ones_own_in_a_fillers_place_is_not_the_filler() -> None:
    planned, filled = {"bytes": -1}, {"bytes": 9 * 1024**3}
    assert FILLERS.same(planned, filled), "a kill before the size was noted"
    assert FILLERS.same(filled, filled)
    for other in ({"bytes": None}, {"bytes": 0}, {"bytes": 5}):
        assert not FILLERS.same(filled, other)
        assert not FILLERS.same(planned, other)


def test_a_file_that_is_removed_comes_back_whole() -> None:
    guest = FakeGuest()
    guest.file("/etc/motd", "hello\n", mode=0o600, owner="root:adm")
    before = guest.files["/etc/motd"]
    made = undoing.act(undoing.record(Absent(path="/etc/motd"), context(guest)), context(guest))
    assert "/etc/motd" not in guest.files
    assert undoing.undo(made, context(guest)) is Outcome.RESTORED
    assert guest.files["/etc/motd"] == before


def test_a_mode_that_is_changed_comes_back_and_the_files_time_never_moved() -> None:
    guest = FakeGuest()
    guest.file("/etc/hosts", "x\n")
    before = guest.files["/etc/hosts"]
    made = undoing.act(undoing.record(Permissions(path="/etc/hosts", mode=0o600), context(guest)), context(guest))
    assert guest.files["/etc/hosts"] == replace(before, mode=0o600)
    assert undoing.undo(made, context(guest)) is Outcome.RESTORED
    assert guest.files["/etc/hosts"] == before


OPTIONS = "[a]\nword = secret\n\n[b]\nword = other\nsize = 1\n# end\n\n[c]\nx = 1\n"


@pytest.mark.parametrize(
    ("change", "after"),
    [
        (
            Respell(path="/etc/x", section="b", option="word", find="^(o)", put=r"\1x"),
            OPTIONS.replace("= other", "= oxther"),
        ),
        (
            Respell(path="/etc/x", section="a", option="word", find="e", put="3", also=(("b", "word"),)),
            OPTIONS.replace("= secret", "= s3cret").replace("= other", "= oth3r"),
        ),
        (
            Double(path="/etc/x", section="b", option="word", find="other", put="wrong"),
            OPTIONS.replace("# end\n", "# end\nword = wrong\n"),
        ),
        (Rename(path="/etc/x", section="b", option="size", name="sise"), OPTIONS.replace("size", "sise")),
        (
            RaiseAbove(path="/etc/x", section="b", option="word"),
            OPTIONS.replace("word = other\n", "").replace("[b]", "word = other\n[b]"),
        ),
    ],
    ids=["respelled", "respelled twice", "doubled", "renamed", "above its head"],
)
def test_an_option_is_got_wrong_in_one_place_and_comes_back_whole(change: Any, after: str) -> None:
    guest = FakeGuest()
    guest.file("/etc/x", OPTIONS, mode=0o640, owner="root:nova")
    before = guest.files["/etc/x"]
    made = undoing.act(undoing.record(change, context(guest)), context(guest))
    assert guest.files["/etc/x"].content.decode() == after
    assert (guest.files["/etc/x"].mode, guest.files["/etc/x"].owner, guest.files["/etc/x"].mtime) == (
        0o640,
        "root:nova",
        before.mtime,
    )
    assert undoing.undo(made, context(guest)) is Outcome.RESTORED
    assert guest.files["/etc/x"] == before


@pytest.mark.parametrize(
    "change",
    [
        Respell(path="/etc/x", section="b", option="word", find="^z", put="y"),
        Respell(path="/etc/x", section="b", option="none", find=".", put="y"),
        Rename(path="/etc/x", section="none", option="word", name="y"),
        RaiseAbove(path="/etc/gone", section="b", option="word"),
    ],
)
def test_an_option_that_is_not_as_expected_is_left_and_its_value_is_not_told(change: Any) -> None:
    guest = FakeGuest()
    guest.file("/etc/x", OPTIONS)
    with pytest.raises(InputError) as caught:
        undoing.record(change, context(guest))
    assert "other" not in str(caught.value)


class Cloud:
    """The administrator of a cloud of two things."""

    def __init__(self) -> None:
        self.endpoint = SimpleNamespace(id="e1", url="http://a:9292/v2", is_enabled=True)
        self.words = {"nova": "right"}
        self.now = {"nova": "right"}
        self.held = {"r1", "r2"}
        self.identity = self
        self.compute = self

    admin = property(lambda self: self)

    def translated(self, do: Any) -> Any:
        return do()

    def lets_in(self, user: str) -> bool:
        return self.now[user] == self.words[user]

    def password(self, user: str) -> str:
        return self.words[user]

    def services(self, **query: str) -> list[Any]:
        return [SimpleNamespace(id="s1")] if query == {"type": "image"} else []

    def endpoints(self, service_id: str, interface: str) -> list[Any]:
        assert (service_id, interface) == ("s1", "public")
        return [self.endpoint]

    def update_endpoint(self, found: Any, **values: Any) -> None:
        assert found is self.endpoint
        vars(self.endpoint).update(values)

    def find_user(self, name: str, domain_id: str) -> Any:
        return SimpleNamespace(id=f"u-{name}", name=name)

    def find_project(self, name: str, domain_id: str) -> Any:
        return SimpleNamespace(id=f"p-{name}")

    def update_user(self, user: Any, password: str) -> None:
        self.now[user.name] = password

    def roles(self) -> list[Any]:
        return [SimpleNamespace(id="r1", name="admin"), SimpleNamespace(id="r2", name="service")]

    def role_assignments(self, user_id: str, scope_project_id: str) -> list[Any]:
        assert (user_id, scope_project_id) == ("u-nova", "p-service")
        return [SimpleNamespace(role={"id": each}) for each in self.held]

    def assign_project_role_to_user(self, project: str, user: str, role: str) -> None:
        self.held.add(role)

    def unassign_project_role_from_user(self, project: str, user: str, role: str) -> None:
        self.held.remove(role)


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (
            Thing(name="endpoint image public", values={"is_enabled": False}),
            {"url": "http://a:9292/v2", "is_enabled": False},
        ),
        (
            Thing(name="endpoint image public", respelled={"url": (":9292", ":9300")}),
            {"url": "http://a:9300/v2", "is_enabled": True},
        ),
        (Thing(name="password nova", values={"on record": False}), {"on record": False}),
        (Thing(name="roles nova service", values={"roles": ["admin"]}), {"roles": ["admin"]}),
    ],
)
def test_a_thing_in_the_cloud_is_changed_and_comes_back(change: Thing, broken: Any) -> None:
    cloud = Cloud()
    place = context(FakeGuest(), cloud=cloud)
    made = undoing.act(Record.of(json.loads(json.dumps(undoing.record(change, place).document()))), place)
    assert change.kind.look(place, change.target) == broken
    assert undoing.undo(made, place) is Outcome.RESTORED
    assert change.kind.look(place, change.target) == made.before
    assert undoing.undo(made, place) is Outcome.MENDED


def test_a_password_that_somebody_sets_right_is_left() -> None:
    cloud = Cloud()
    place = context(FakeGuest(), cloud=cloud)
    change = Thing(name="password nova", values={"on record": False})
    made = undoing.act(undoing.record(change, place), place)
    cloud.now["nova"] = cloud.words["nova"]
    assert undoing.undo(made, place) is Outcome.MENDED


@pytest.mark.parametrize("name", ["endpoint volume public", "endpoint image public"])
def test_a_thing_that_is_not_there_or_so_already_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        undoing.record(Thing(name=name, values={"is_enabled": True}), context(FakeGuest(), cloud=Cloud()))


def test_a_lab_without_a_cloud_has_no_things() -> None:
    with pytest.raises(InputError, match="no cloud"):
        undoing.record(Thing(name="user nova", values={"is_enabled": False}), context(FakeGuest()))


class Database:
    """A database's client: two accounts, a variable, a row."""

    def __init__(self) -> None:
        self.guest = FakeGuest(answers={"mariadb -BN --raw": self.ask, "mariadb": self.tell})
        self.locked = {"nova": False, "it's": False}
        self.variable = "0"
        self.row = "mysql+pymysql://nova:x@h/nova?charset=utf8"

    def ask(self, line: str, stdin: bytes) -> str:
        said = stdin.decode()
        if said == "SELECT @@GLOBAL.`read_only`;":
            return f"{self.variable}\n"
        if found := re.fullmatch(r"SHOW CREATE USER '(.*)'@'%';", said):
            name = found[1].replace("''", "'")
            return f"CREATE USER x{' ACCOUNT LOCK' if self.locked[name] else ''}\n"
        assert said == (
            "SELECT COUNT(*), MAX(`database_connection`) FROM `nova_api`.`cell_mappings` WHERE `name` = 'cell1';"
        )
        return f"1\t{self.row}\n"

    def tell(self, line: str, stdin: bytes) -> int:
        said = stdin.decode()
        if found := re.fullmatch(r"SET GLOBAL `read_only` = (\d);", said):
            self.variable = found[1]
        elif found := re.fullmatch(r"ALTER USER '(.*)'@'%' ACCOUNT (LOCK|UNLOCK)(; KILL USER '\1'@'%')?;", said):
            assert (found[2] == "LOCK") == bool(found[3]), "who is in is put out"
            self.locked[found[1].replace("''", "'")] = found[2] == "LOCK"
        else:
            found = re.fullmatch(
                r"UPDATE `nova_api`.`cell_mappings` SET `database_connection` = '(.*)' WHERE `name` = 'cell1';", said
            )
            assert found, said
            self.row = found[1]
        return 0


@pytest.mark.parametrize(
    "change",
    [
        Variable(name="read_only", value=1),
        Account(user="nova"),
        Account(user="it's"),
        Value(name="nova_api cell_mappings name cell1 database_connection", find="/nova", put="/novo"),
    ],
)
def test_the_database_is_changed_by_its_root_and_changed_back(change: Any) -> None:
    database = Database()
    place = context(database.guest)
    before = (dict(database.locked), database.variable, database.row)
    made = undoing.act(undoing.record(change, place), place)
    assert (database.locked, database.variable, database.row) != before
    assert undoing.undo(made, place) is Outcome.RESTORED
    assert (database.locked, database.variable, database.row) == before
    assert undoing.undo(made, place) is Outcome.MENDED


def test_the_brokers_rights_come_back_as_they_were() -> None:
    rights: dict[str, list[str]] = {"openstack": [".*", ".*", ".*"], "guest": ["a", "b", "c"]}

    def listed(line: str, stdin: bytes) -> str:
        return "".join("\t".join((user, *each)) + "\n" for user, each in rights.items())

    def given(line: str, stdin: bytes) -> int:
        rights["openstack"] = line.replace("'", "").split()[-3:]
        return 0

    def cleared(line: str, stdin: bytes) -> int:
        del rights["openstack"]
        return 0

    guest = FakeGuest(
        answers={
            "rabbitmqctl -q list_permissions": listed,
            "rabbitmqctl -q set_permissions -p / openstack .*": given,
            "rabbitmqctl -q clear_permissions -p / openstack && .*close_all_user_connections openstack .*": cleared,
        }
    )
    change = Broker(name="permissions openstack", values={"permissions": None})
    made = undoing.act(undoing.record(change, context(guest)), context(guest))
    assert "openstack" not in rights
    assert undoing.undo(made, context(guest)) is Outcome.RESTORED
    assert rights["openstack"] == [".*", ".*", ".*"]


def test_a_process_that_is_halted_goes_on_and_one_that_was_started_anew_is_left() -> None:
    state = ["Ss"]

    def signal(line: str, stdin: bytes) -> int:
        state[0] = "T" if "-STOP" in line else "S"
        return 0

    guest = FakeGuest(answers={"ps -o stat= .*": lambda line, stdin: state[0], "kill -.*": signal})
    change = Stopped(unit="nova-scheduler")
    made = undoing.act(undoing.record(change, context(guest)), context(guest))
    assert undoing.undo(made, context(guest)) is Outcome.RESTORED
    made = undoing.act(undoing.record(change, context(guest)), context(guest))
    state[0] = "Ss"
    assert undoing.undo(made, context(guest)) is Outcome.MENDED
    state[0] = ""
    assert undoing.undo(made, context(guest)) is Outcome.FOREIGN
    with pytest.raises(InputError, match="does not run"):
        undoing.record(change, context(guest))


def test_a_restart_that_never_ends_is_not_waited_for_but_its_undo_is() -> None:
    guest = FakeGuest(answers={".*systemctl reset-failed .*": 0})
    guest.file("/etc/x", OPTIONS)
    change = Rename(path="/etc/x", section="a", option="word", name="wort")
    made = undoing.act(undoing.record(change, context(guest), restart=("nova-compute",), waits=False), context(guest))
    undoing.undo(Record.of(json.loads(json.dumps(made.document()))), context(guest))
    first, second = (line for line in guest.ran if "restart nova-compute" in line)
    assert "--no-block" in first
    assert "--no-block" not in second


def test_systemd_reads_what_somebody_changed_of_a_unit_before_it_is_restarted(tmp_path: Path) -> None:
    guest = FakeGuest(answers={".*systemctl reset-failed .*": 0})
    undoing.restart(("nova-compute",), context(guest))
    (line,) = guest.ran
    for answer, first in (("yes", ["daemon-reload"]), ("no", [])):
        said = tmp_path / answer
        tools = (
            f'systemctl() {{ echo "$*" >>{said}; case "$*" in *NeedDaemon*) echo {answer};; esac; }}; ss() {{ :; }}; '
        )
        subprocess.run(["sh", "-c", tools + line], check=True)
        told = [each for each in said.read_text().splitlines() if "show" not in each and "is-active" not in each]
        assert told == [*first, "reset-failed nova-compute", "--quiet restart nova-compute"]
