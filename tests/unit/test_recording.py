"""What terminals show is kept where the organiser asked for it, and nowhere else."""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path
from typing import Any, cast

import pytest

from labctl import waiting
from labctl.door import recording
from labctl.door.recording import TOLD, Recording, Recordings
from labctl.errors import LabctlError
from tests.unit.fake_classroom import Classroom, play
from tests.unit.test_board import Pages, pages
from tests.unit.test_terminals import CONSOLE, NODE_1, said

__all__ = ["pages"]  # a fixture


class Disk(io.BytesIO):
    """A file that keeps its content when it is closed, and takes no more than there is room for."""

    def __init__(self, room: int = 1_000_000) -> None:
        super().__init__()
        self.room = room
        self.content = b""

    def write(self, data: Any) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.content += bytes(data)
        return len(data)

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.content.splitlines()]


def events(file: Path) -> list[tuple[str, str]]:
    """Return kind and text of each event of a recording."""
    return [(kind, text) for _, kind, text in map(json.loads, file.read_text().splitlines()[1:])]


def test_a_recording_is_an_asciicast() -> None:
    disk = Disk()
    made = Recording(disk, (100, 30), failed=lambda exc: pytest.fail(str(exc)))
    word = "grün\r\n".encode()
    made.show(word[:3])  # half of a character
    made.show(word[3:])
    made.resize(80, 25)
    made.show(b"\xff")
    made.close()
    made.close()
    made.show(b"late")
    head, *rest = disk.lines()
    assert (head["version"], head["width"], head["height"]) == (2, 100, 30)
    assert [line[1:] for line in rest] == [["o", "gr"], ["o", "ün\r\n"], ["r", "80x25"], ["o", "\ufffd"]]
    times = [line[0] for line in rest]
    assert times == sorted(times)


def test_a_recording_ends_where_it_would_become_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_LARGEST", 1000)
    disk = Disk()
    made = Recording(disk, (0, 0), failed=lambda exc: pytest.fail(str(exc)))
    for _ in range(100):
        made.show(b"x" * 100)
    assert len(disk.content) < 1200
    assert (disk.lines()[0]["width"], disk.closed) == (80, True)


def test_a_full_disk_ends_a_recording_and_is_told_once() -> None:
    told: list[OSError] = []
    made = Recording(Disk(150), (80, 24), failed=told.append)
    for _ in range(10):
        made.show(b"x" * 100)
    assert [exc.errno for exc in told] == [errno.ENOSPC]


def test_a_folder_that_cannot_be_made_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "door").write_text("a file")
    told: list[LabctlError] = []
    assert Recordings(tmp_path / "door", failed=told.append).begin("red", "node-1", (80, 24)) is None
    assert str(tmp_path / "door") in (told[0].details or "")


def test_a_shell_by_ssh_is_recorded_and_says_so(tmp_path: Path) -> None:
    kept = tmp_path / "kept"

    async def scene(room: Classroom) -> None:
        async with room.visit("red+node-1") as ssh:
            shell = await ssh.create_process(term_type="xterm", term_size=(123, 40))
            assert await shell.stdout.readuntil("$ ") == f"{TOLD}xterm 123 $ "
            shell.stdin.write("hello\n")
            assert "you said hello" in await shell.stdout.readuntil("\n")
            shell.change_terminal_size(77, 20)
            await shell.stdout.read()
            assert (await ssh.run("env")).stdout == "[]"  # a command: what programs exchange stays as it is

    play(tmp_path, scene, recordings=kept)
    (file,) = kept.iterdir()
    assert file.name.startswith("red-node-1-")
    assert (file.stat().st_mode & 0o777, kept.stat().st_mode & 0o777) == (0o600, 0o700)
    assert json.loads(file.read_text().splitlines()[0])["width"] == 123
    shown = "".join(text for kind, text in events(file) if kind == "o")
    assert shown.startswith("xterm 123 $ you said hello")
    assert ("r", "77x20") in events(file)


def test_nothing_is_kept_unless_the_organiser_asked_for_it(tmp_path: Path) -> None:
    async def scene(room: Classroom) -> None:
        async with room.visit("red+node-1") as ssh:
            shell = await ssh.create_process(term_type="xterm", term_size=(123, 40))
            assert await shell.stdout.readuntil("$ ") == "xterm 123 $ "

    play(tmp_path, scene)
    assert list(tmp_path.rglob("*.cast")) == []


def test_a_browsers_terminal_is_recorded_and_says_so_and_a_console_is_not(pages: Pages) -> None:
    kept = pages.home.root / "door" / "recordings"
    cast(Any, pages.hall).recordings = Recordings(kept, failed=pages.failures.append)
    red = pages.browser("red")
    with red.socket(CONSOLE) as console:
        said(console, "it booted")
    with red.socket(f"{NODE_1}?columns=100&rows=40") as shell:
        assert TOLD in said(shell, "$ ")
        shell.send(b"hello\n")
        said(shell, "you said hello")
    (file,) = kept.iterdir()
    assert waiting.until(lambda: "you said hello" in file.read_text(), seconds=10)
    assert TOLD not in "".join(text for _, text in events(file))
