"""Commands on several labs: side by side, and one lab's trouble is not another's."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner

from labctl.cli.root import root
from labctl.errors import HypervisorError, LabctlError
from labctl.host import private
from labctl.lab import many
from labctl.site import site
from tests.unit.fake_site import World


@pytest.fixture
def world(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return an installation whose commands find the fake host, but no other."""

    @contextlib.contextmanager
    def opened(home: Any, name: str | None = None, **_: object) -> Iterator[site.Site]:
        if name not in (None, "fake"):
            raise HypervisorError(f"nothing answers at {name}")
        yield world.site()

    monkeypatch.setattr(site, "opened", opened)
    monkeypatch.setenv("LABCTL_HOME", str(world.home.root))
    monkeypatch.delenv("LABCTL_HOST", raising=False)
    return world


def labctl(*words: str) -> tuple[int, str]:
    """Run a command as the program does; return its exit code and all that it said."""
    from labctl.cli.errors import guarded

    said = ""

    def run() -> object:
        nonlocal said
        done = CliRunner().invoke(root, words)
        said = done.output
        if done.exception is not None:
            raise done.exception
        return done.return_value

    with contextlib.redirect_stderr(errors := Errors()):
        code = guarded(run)
    return code, said + errors.text


class Errors:
    """What is written to stderr."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


def batch(world: World) -> many.Batch:
    return many.Batch(home=world.home, progress=world.notes, cancelled=threading.Event())


def move(world: World, team: str, host: str) -> None:
    folder = world.home.lab(team)
    folder.write("lab.json", (folder.read("lab.json") or "").replace('"host": "fake"', f'"host": "{host}"'))


def test_labs_are_worked_on_side_by_side(world: World) -> None:
    world.create("red", "blue")
    together = threading.Barrier(2, timeout=10)
    results = many.each(batch(world), ["red", "blue"], lambda work, team: together.wait() >= 0)
    assert results.done == {"red": True, "blue": True}


def test_a_host_that_is_gone_keeps_no_other_lab_from_its_work(world: World) -> None:
    world.create("red", "blue")
    move(world, "red", "gone")
    results = many.each(batch(world), ["red", "blue"], lambda work, team: team)
    assert results.done == {"blue": "blue"}
    with pytest.raises(LabctlError, match="nothing answers at gone"):
        results.check()


@pytest.mark.parametrize(("command", "said"), [("stop", "blue: stopped"), ("status", "blue: topology mini")])
def test_trouble_with_one_lab_is_said_after_what_was_done_with_the_others(
    world: World, command: str, said: str
) -> None:
    world.create("red", "blue", "green")
    move(world, "red", "gone")
    code, output = labctl(command, "red,blue,green")
    assert code == 1
    assert said in output
    assert "nothing answers at gone" in output


def test_one_undeletable_volume_keeps_no_other_lab_from_destruction_and_a_second_try_ends_well(world: World) -> None:
    world.create("team01", "team02", "team03")

    def trace(call: str) -> None:
        if call == "before: delete volume team02-node-1.qcow2":
            raise HypervisorError("cannot delete volume team02-node-1.qcow2")

    world.trace = trace
    code, output = labctl("destroy", "team01..team03", "--yes")
    assert code == 1
    assert "team01: destroyed" in output
    assert "team03: destroyed" in output
    assert "team02: destroyed" not in output
    world.trace = lambda _: None
    code, output = labctl("destroy", "team01..team03", "--yes")
    assert code == 0, output
    assert "team02: destroyed" in output
    assert labctl("destroy", "team01..team03", "--yes")[0] == 2


def test_a_damaged_lab_is_destroyed_by_its_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_HOST", "elsewhere")  # the record names the host before it broke off
    world.create("red", "blue")
    folder = world.home.lab("red")
    folder.write("lab.json", (folder.read("lab.json") or "")[:300])
    code, output = labctl("destroy", "red,blue", "--yes")
    assert code == 0, output
    assert "red: destroyed" in output
    assert world.inventory()["domains"] == []


def test_another_teams_damaged_record_keeps_nobody_from_a_reset(world: World) -> None:
    world.create("red")
    world.home.lab("blue").write("lab.json", "{")
    assert labctl("reset", "node-1", "-t", "red")[0] == 0
    assert [node.ready for node in world.status("red").nodes] == [True, True]


@pytest.mark.parametrize("words", [["destroy", "red", "--forget"], ["destroy", "--orphans"]])
def test_what_is_more_than_it_seems_is_not_done_unasked(world: World, words: list[str]) -> None:
    world.create("red", "blue")
    world.home.lab("blue").remove()
    before = world.inventory()
    code, output = labctl(*words)
    assert code == 3, output
    assert "--yes" in output
    assert world.inventory() == before


def test_a_lab_is_forgotten_and_found_again_as_an_orphan(world: World) -> None:
    world.create("red")
    code, output = labctl("destroy", "red", "--forget", "--yes")
    assert code == 0
    assert "Host fake is not asked" in output
    assert "red: forgotten, not destroyed" in output
    assert len(world.inventory()["domains"]) == 2
    code, output = labctl("destroy", "--orphans", "--yes")
    assert code == 0, output
    assert "red   mini" in output
    assert world.inventory()["domains"] == []
    assert "no labs without a record" in labctl("destroy", "--orphans")[1]


def test_host_down_tells_the_guests_apart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.create("red", "blue")
    world.home.lab("blue").remove()
    world.site().hypervisor.define_domain(
        "<domain type='qemu'><name>theirs</name><uuid>00000000-0000-4000-8000-000000000001</uuid><memory>1024</memory>"
        "<os><type>hvm</type></os></domain>"
    )
    world.site().hypervisor.start_domain(UUID("00000000-0000-4000-8000-000000000001"))

    def down(name: str, *_: object, **__: object) -> None:
        raise private.InUseError("Private host fake runs 5 guests", remedy="Stop their labs first.")

    monkeypatch.setattr(private, "down", down)
    code, output = labctl("host", "down", "fake")
    assert code == 3
    for line in (
        "the lab of red: red-node-1, red-node-2",
        "without a record, blue's once: blue-node-1, blue-node-2",
        "not labctl's: theirs",
        "labctl destroy --orphans --host fake",
    ):
        assert line in output
