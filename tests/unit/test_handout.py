"""Paper: a sheet tells what a team needs and nothing of faults or other teams; the key tells what was really done."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from labctl.cli.root import root
from labctl.errors import InputError, LabctlError
from labctl.lab import access, events, paper, sabotage
from labctl.lab.opening import Setup
from labctl.lab.sabotage import Ledger
from labctl.remote import keys
from labctl.report import handout
from labctl.report.logins import Door
from labctl.rounds.events import Injected, Opened, Started
from labctl.sabotage.draw import Lot, applies
from labctl.sabotage.fault import FAULTS
from labctl.sabotage.ledger import State
from labctl.spec import scoring
from labctl.spec.scoring import Rules
from tests.unit.fake_site import World

DOOR = Door(host="classroom.example.org", port=2222)


@pytest.fixture
def classroom(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two labs of mini, each with the secrets of a cloud that only it has."""
    monkeypatch.setenv("LABCTL_HOME", str(world.home.root))
    world.create("red", "blue")
    for team in ("red", "blue"):
        secrets = {name: f"{name}-of-{team}" for name in ("demo", "admin", "database", "key", "key-public")}
        world.home.lab(team).write("openstack.json", json.dumps(secrets))
    return world


def injected(world: World, lab: str, name: str, *, player: str = "", minutes: int = 45) -> None:
    """Break a fake lab in a round, as far as the books know."""
    scene = sabotage.Scene(lab=world.plan(lab))
    entry, _ = sabotage.prepare(scene, FAULTS[name], Lot(team=lab, order=(FAULTS[name],), seed="s", candidates=()))
    entry = replace(entry, state=State.INJECTED, symptoms={entry.red[0]: "<it> is red"})
    Ledger(world.home.lab(lab)).save(entry)
    if player:
        opened = Opened(
            at=1, round="abc", minutes=minutes, player=player, faults=1, rules=scoring.document_of(Rules(drill=77))
        )
        event = Injected(
            at=2,
            fault=name,
            slot=1,
            level=entry.level,
            entry=entry.uid,
            red=entry.red,
            nodes=(entry.node,),
            services=(entry.service,),
        )
        events.append(world.home, lab, opened, event, Started(at=3))


def sheet(world: World, team: str, door: Door | None = None) -> str:
    return handout.sheet(paper.sheet(world.home, team, rules=Rules(), door=door is not None), door)


def words(page: str) -> str:
    """Return a page's text, outside of its style."""
    text = re.sub(r"<(style|title)>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_a_sheet_tells_names_addresses_the_way_in_and_the_rules(classroom: World) -> None:
    text = words(sheet(classroom, "red"))
    for word in ("node-2", "node-2.example.org", "10.0.0.4", "172.16.0.4", "labctl ssh -t red node-1"):
        assert word in text
    assert "100 for level 1, 200 for level 2, 400 for level 3" in text
    assert "You name the service and the machine; one of the two is worth half. 30 %" in text
    assert "eth1 10.0.0.3" in text  # the picture


def test_a_door_is_on_the_sheet_with_the_team_s_password(classroom: World) -> None:
    given = access.give(classroom.home, "red")
    text = words(sheet(classroom, "red", DOOR))
    assert "ssh -p 2222 red@classroom.example.org" in text
    assert "ssh -p 2222 red+node-1@classroom.example.org" in text
    assert f"Your password: {given.password}" in text
    assert keys.fingerprint(access.door_key(classroom.home).public) in text
    assert "labctl ssh" not in text


def test_a_team_that_may_not_come_in_gets_no_sheet_of_the_door(classroom: World) -> None:
    with pytest.raises(InputError, match="red has no access"):
        sheet(classroom, "red", DOOR)


def test_after_a_swap_a_team_comes_in_by_its_own_name(classroom: World) -> None:
    access.give(classroom.home, "red")
    injected(classroom, "blue", "BA-05", player="red")
    assert "ssh -p 2222 red@classroom.example.org" in words(sheet(classroom, "red", DOOR))


def test_in_a_round_a_sheet_has_its_lab_its_minutes_and_its_rules(classroom: World) -> None:
    injected(classroom, "blue", "BA-05", player="red", minutes=30)
    text = words(sheet(classroom, "red"))
    assert "In this round you work on the lab of blue." in text
    assert "The rules of this round (30 minutes)" in text
    assert "saying so brings 77" in text
    assert "labctl ssh -t blue node-1" in text


def test_no_sheet_tells_of_a_fault_or_has_a_secret_of_another_team(classroom: World) -> None:
    scene = sabotage.Scene(lab=classroom.plan("red"))
    faults = [fault.id for fault in FAULTS if applies(fault, scene)]
    assert len(faults) > 15
    injected(classroom, "red", faults[0], player="blue")
    for name in faults[1:]:
        injected(classroom, "red", name)
    secrets = [
        value
        for team in ("red", "blue")
        for name in ("openstack.json", "host-keys.json")
        for value in strings(json.loads(classroom.home.lab(team).read(name) or ""))
    ]
    assert "demo-of-blue" in secrets
    doors = {team: access.give(classroom.home, team).password for team in ("red", "blue")}
    for team, other in (("red", "blue"), ("blue", "red")):
        page = sheet(classroom, team, DOOR)
        assert (doors[team] in page, doors[other] in page) == (True, False)
        assert [value for value in secrets if value in page or html.escape(value) in page] == []
        text = words(page)
        for entry in Ledger(classroom.home.lab("red")).entries():
            told = (entry.fault, entry.title, entry.explanation, *entry.hints, *(line for _, line in entry.repair))
            assert [word for word in told if word in text] == []


def strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, str):
        yield value


def test_a_cloud_s_sheet_has_the_team_s_own_password_and_no_other_one(classroom: World) -> None:
    known = paper.sheet(classroom.home, "red", rules=Rules(), door=False)
    page = handout.sheet(replace(known, dashboard="http://api-node.example.org/horizon/", password="demo-of-red"))
    assert "user demo , password demo-of-red" in words(page)
    assert "admin-of-red" not in page
    assert "demo-of-red" not in repr(replace(known, password="demo-of-red"))


def test_the_key_says_what_was_really_injected(classroom: World) -> None:
    injected(classroom, "blue", "BA-05", player="red")
    injected(classroom, "red", "BA-02")
    page = handout.key(paper.answers(classroom.home, ["red"]))
    (entry,) = Ledger(classroom.home.lab("blue")).entries()
    text = words(page)
    for word in (
        "BA-05: One network has lost a member",
        "The lab of blue, played by red",
        f"on {entry.node} : {entry.service}",
        "<it> is red",
        *(hint.replace("`", "") for hint in entry.hints),
        *(line for _, line in entry.repair),
        "labctl sabotage heal blue BA-05",
        f"Service: {entry.service}. Machine: {entry.node}.",
    ):
        assert word in text
    assert "BA-02" not in text, "red plays on the lab of blue"


def test_the_key_says_where_nothing_is_broken(classroom: World) -> None:
    assert "red red nothing" in words(handout.key(paper.answers(classroom.home, ["red"])))
    drill = Setup(teams=("red",), drill=True)
    opened = Opened(at=1, round="abc", minutes=45, player="red", faults=0, rules=scoring.document_of(drill.rules))
    events.append(classroom.home, "red", opened)
    assert "nothing: a drill, worth 100 points" in words(handout.key(paper.answers(classroom.home, ["red"])))


def test_an_installed_lab_s_dashboard_is_reached_through_the_door(classroom: World) -> None:
    access.give(classroom.home, "red")
    known = paper.sheet(classroom.home, "red", rules=Rules(), door=True)
    page = handout.sheet(replace(known, dashboard="http://api-node.example.org/horizon/"), DOOR)
    assert "ssh -p 2222 -N -L 8080:api-node.example.org:80 red@classroom.example.org" in words(page)


def test_what_users_wrote_stays_text(classroom: World) -> None:
    known = paper.sheet(classroom.home, "red", rules=Rules(), door=False)
    nasty = known.spec.model_copy(update={"description": "</p><script>alert(1)</script>"})
    page = handout.sheet(replace(known, spec=nasty))
    assert "<script" not in page
    assert "<script>alert(1)</script>" in words(page)


class _Loads(HTMLParser):
    """Collects what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [pair for pair in attrs if pair[0] in ("src", "href", "action")]


def test_a_page_loads_nothing(classroom: World) -> None:
    injected(classroom, "red", "BA-05")
    for page in (sheet(classroom, "red"), handout.key(paper.answers(classroom.home, ["red"]))):
        found = _Loads()
        found.feed(page)
        assert found.loads == []
        assert "url(" not in page
        assert "@import" not in page


def labctl(*words: str) -> Result:
    return CliRunner().invoke(root, ["handout", *words], standalone_mode=False)


def test_the_files_are_the_owner_s_alone(classroom: World, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        done = labctl("red", "blue", "--key", "--no-pdf", "-o", str(tmp_path / "out"))
    finally:
        os.umask(before)
    assert done.exception is None
    found = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()}
    assert found == dict.fromkeys(("red.html", "blue.html", "answer-key.html"), 0o600)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700


def test_rules_of_one_s_own_are_printed_before_a_round(classroom: World, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("drill: 123\n")
    labctl("red", "--no-pdf", "--rules", str(tmp_path / "rules.yaml"), "-o", str(tmp_path / "out"))
    assert "saying so brings 123" in words((tmp_path / "out" / "red.html").read_text())


def test_without_key_nothing_tells_of_faults(classroom: World, tmp_path: Path) -> None:
    injected(classroom, "red", "BA-05")
    labctl("red", "--no-pdf", "-o", str(tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["red.html"]


def test_the_pages_are_printed(classroom: World, tmp_path: Path) -> None:
    pytest.importorskip("weasyprint", reason="needs WeasyPrint", exc_type=(ImportError, OSError))
    injected(classroom, "red", "BA-05")
    assert labctl("red", "--key", "-o", str(tmp_path / "out")).exception is None
    for name in ("red.pdf", "answer-key.pdf"):
        printed = (tmp_path / "out" / name).read_bytes()
        assert printed.startswith(b"%PDF-")
        assert (tmp_path / "out" / name).stat().st_mode & 0o777 == 0o600


def test_without_weasyprint_there_are_pages_all_the_same(
    classroom: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(page: str) -> bytes:
        raise LabctlError("PDF needs WeasyPrint", remedy="install it")

    monkeypatch.setattr(handout, "pdf", missing)
    done = labctl("red", "-o", str(tmp_path / "out"))
    assert "WeasyPrint is not installed" in done.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["red.html"]
    assert isinstance(labctl("red", "--pdf", "-o", str(tmp_path / "out")).exception, LabctlError)


def test_a_team_without_a_lab_is_refused_before_anything_is_written(classroom: World, tmp_path: Path) -> None:
    assert isinstance(labctl("red", "green", "-o", str(tmp_path / "out")).exception, InputError)
    assert not (tmp_path / "out").exists()
