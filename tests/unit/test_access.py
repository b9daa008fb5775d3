"""Who may come in by the door: passwords and keys, kept for the organiser alone."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from labctl.cli.root import root
from labctl.errors import DamagedError, InputError
from labctl.lab import access, sessions
from labctl.lab.limit import Limit
from labctl.lab.sessions import SessionEvent
from labctl.remote import keys
from labctl.report import access as views
from labctl.state import Home

ADA, BOB = keys.generate("ada@home").public, keys.generate("bob").public


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def labctl(home: Home, *arguments: str) -> str:
    done = CliRunner().invoke(root, arguments, env={"LABCTL_HOME": str(home.root)}, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_each_team_has_a_password_of_its_own_and_keeps_it(home: Home) -> None:
    passwords = {access.give(home, f"team{number:02}").password for number in range(20)}
    assert len(passwords) == 20
    assert all(len(password.replace("-", "")) == 12 for password in passwords)
    before = access.give(home, "team01")
    assert access.give(home, "team01", ADA) == access.Access(team="team01", password=before.password, keys=(ADA,))
    assert access.renew(home, "team01").password != before.password


def test_files_of_the_door_are_for_the_organiser_alone(home: Home) -> None:
    access.give(home, "red")
    access.door_key(home)
    sessions.record(home, [event()])
    door = home.root / "door"
    assert {path.name for path in door.rglob("*")} == {"access", "red.json", "host_key", "sessions.jsonl"}
    for path in (door, *door.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_keys_are_added_once_and_removed_by_their_fingerprint(home: Home) -> None:
    access.give(home, "red", f"# people\n\n{ADA}\n{BOB}\n")
    assert access.give(home, "red", ADA).keys == (ADA, BOB)
    access.remove(home, "red", keys.fingerprint(ADA))
    assert access.known(home, "red").keys == (BOB,)
    with pytest.raises(InputError, match="has no key"):
        access.remove(home, "red", keys.fingerprint(ADA))
    access.remove(home, "red")
    assert access.load(home, "red") is None


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (keys.generate("x").private, "private key"),
        (f'command="sh" {ADA}', "line 1 is no public key"),
        (f"{ADA}\nssh-ed25519 AAAA", "line 2 is no public key"),
        ("hello", "line 1 is no public key"),
    ],
)
def test_what_is_no_key_changes_nothing(home: Home, lines: str, said: str) -> None:
    before = access.give(home, "red", BOB)
    with pytest.raises(InputError, match=said):
        access.give(home, "red", lines)
    assert access.load(home, "red") == before


@pytest.mark.parametrize("team", ["../red", "a/b", "", "Red", "x" * 50])
def test_no_name_leads_out_of_the_folder(home: Home, team: str) -> None:
    for call in (access.load, access.give, access.renew, access.remove):
        with pytest.raises(InputError):
            call(home, team)


def test_a_damaged_file_is_named_and_lets_nobody_in(home: Home) -> None:
    access.give(home, "red")
    path = home.root / "door/access/red.json"
    for text in ("{}", "", '{"team": "red", "password": 5}', '{"team": "red", "password": "x", "keys": ["no"]}'):
        path.write_text(text)
        with pytest.raises(DamagedError, match=r"red\.json is damaged"):
            access.load(home, "red")
    access.remove(home, "red")  # the remedy works


def test_the_door_keeps_its_key(home: Home) -> None:
    first = access.door_key(home)
    assert access.door_key(home) == first
    (home.root / "door/host_key").write_text("nothing")
    with pytest.raises(DamagedError, match="host_key"):
        access.door_key(home)


def event(**changed: object) -> SessionEvent:
    values: dict[str, object] = {"at": 1.5, "event": "login", "connection": "c", "team": "red", "address": "127.0.0.1"}
    return SessionEvent(**(values | changed))  # type: ignore[arg-type]


def test_what_happened_is_read_back_and_a_torn_line_does_not_count(home: Home) -> None:
    assert sessions.read(home) == []
    events = [event(), event(team="blue", event="end", what="port", where="node-1:80", seconds=3.25)]
    sessions.record(home, events[:1])
    sessions.record(home, events[1:])
    with (home.root / "door/sessions.jsonl").open("a") as file:
        file.write('{"at": 1')
    assert sessions.read(home) == events
    assert sessions.read(home, ["blue"]) == events[1:]


def test_what_a_stranger_sent_cannot_move_the_cursor(home: Home) -> None:
    shown = views.events_table([event(team="red\x1b[2J\nroot", event="refused", what="port", where="\x07:1")])
    assert shown.isprintable() or set(shown) & set("\x1b\x07\r") == set()
    assert "red?[2J?root" in shown


def test_the_commands_show_passwords_only_where_asked(home: Home, tmp_path: Path) -> None:
    key = tmp_path / "ada.pub"
    key.write_text(ADA)
    labctl(home, "access", "add", "red", "blue", "--key", str(key))
    password = access.known(home, "red").password
    assert password in labctl(home, "access", "show")
    listed = labctl(home, "access", "list")
    assert password not in listed
    assert keys.fingerprint(ADA) in listed
    document = json.loads(labctl(home, "access", "show", "red", "-o", "json"))
    assert document == [
        {
            "team": "red",
            "password": password,
            "keys": [{"fingerprint": keys.fingerprint(ADA), "comment": "ada@home"}],
        }
    ]
    labctl(home, "access", "remove", "red", "--key", keys.fingerprint(ADA))
    labctl(home, "access", "renew", "red")
    labctl(home, "access", "remove", "blue")
    assert [each.team for each in access.every(home)] == ["red"]
    assert "Nobody came" in labctl(home, "access", "log")
    sessions.record(home, [event(at=time.time())])
    assert "red   127.0.0.1  logged in by" in labctl(home, "access", "log", "red")


def test_a_limit_closes_for_whoever_failed_and_opens_again_with_time() -> None:
    now = 0.0
    limit = Limit(3, 60, lambda: now)
    for _ in range(3):
        assert not limit.closed("eve")
        limit.failed("eve")
    assert limit.closed("eve")
    assert not limit.closed("ada")
    now = 59.9
    assert limit.closed("eve")
    now = 60.1
    assert not limit.closed("eve")


def test_a_limit_remembers_only_so_many() -> None:
    limit = Limit(1, 60, lambda: 0.0)
    for number in range(Limit._LARGEST + 1):
        limit.failed(number)
    assert not limit.closed(0)
    assert limit.closed(Limit._LARGEST)
