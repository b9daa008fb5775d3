"""What is sent to a node's shell means one thing only, and a file is never half written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labctl.guest import Result, files, put_script, shell_line, shortened


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


def test_a_time_is_kept_and_the_folder_shows_no_trace(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("old")
    os.utime(tmp_path, ns=(1, 1_600_000_000_123_456_789))
    script = put_script(str(file), size=3, mode=0o644, owner=None, mtime=1_500_000_000_000_000_007)
    assert subprocess.run(["sh", "-c", script], input=b"new", check=False).returncode == 0
    assert file.read_text() == "new"
    assert file.stat().st_mtime_ns == 1_500_000_000_000_000_007
    assert tmp_path.stat().st_mtime_ns == 1_600_000_000_123_456_789


class Here:
    """This machine as a guest."""

    name = "here"

    def run(self, command: str, **options: Any) -> Result:
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        return Result(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)


def test_files_links_folders_and_nothing_are_told_apart(tmp_path: Path) -> None:
    guest: Any = Here()
    (tmp_path / "file").write_bytes(bytes(range(256)))
    (tmp_path / "link").symlink_to("no where")
    found = files.look(guest, str(tmp_path / "file"), timeout=9)
    assert found is not None
    assert (found.kind, found.content) == ("file", bytes(range(256)))
    assert found.mtime == (tmp_path / "file").stat().st_mtime_ns
    link = files.look(guest, str(tmp_path / "link"), timeout=9)
    assert link is not None
    assert (link.kind, link.content) == ("link", b"no where")
    folder = files.look(guest, str(tmp_path), timeout=9)
    assert folder is not None
    assert folder.kind == "folder"
    assert files.look(guest, str(tmp_path / "none"), timeout=9) is None


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
