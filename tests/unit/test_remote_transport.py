"""What is sent to a node's shell means one thing only, and a file is never half written."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.remote.transport import Result, put_script, shell_line, shortened


def _put(content: bytes, path: Path, *, sent: bytes | None = None, mode: int = 0o640) -> int:
    script = put_script(str(path), size=len(content), mode=mode, owner=None)
    return subprocess.run(["sh", "-c", script], input=content if sent is None else sent, check=False).returncode


@pytest.mark.parametrize("name", ["plain", "with blank", "$(reboot)", "quote'quote", "-n"])
def test_a_file_arrives_whole_with_its_mode(tmp_path: Path, name: str) -> None:
    content = bytes(range(256)) * 5
    assert _put(content, tmp_path / name) == 0
    assert (tmp_path / name).read_bytes() == content
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o640
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_lost_connection_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "nova.conf"
    file.write_text("old")
    assert _put(b"new content", file, sent=b"new con") != 0
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_is_not_taken_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "nova").mkdir()
    assert _put(b"x", tmp_path / "nova") != 0
    assert not list((tmp_path / "nova").iterdir())


def test_words_are_quoted_and_lines_are_not() -> None:
    assert shell_line(["echo", "a b", "$HOME"]) == "echo 'a b' '$HOME'"
    assert shell_line("echo $HOME") == "echo $HOME"


def test_a_long_command_is_cut_in_messages() -> None:
    assert shortened("true") == "true"
    assert shortened("one\ntwo") == "one…"
    assert len(shortened("x" * 500)) == 72


def test_the_tail_prefers_complaints() -> None:
    assert Result(exit_code=1, stdout="a\n", stderr="b\nc\n").tail(1) == "c"
    assert Result(exit_code=1, stdout="a\n", stderr="\n").tail() == "a"


def test_the_room_is_entered_without_paramiko() -> None:
    rooms = "ssh, wait, dial, cloudinit, keys, transport, translate"
    late = "{'paramiko', 'cryptography'}"
    script = f"import sys; from labctl.remote import {rooms}; print({late} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], check=True, capture_output=True).stdout == b"set()\n"
