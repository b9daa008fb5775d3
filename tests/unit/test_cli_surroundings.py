"""labctl works, or says why not, wherever it is started: closed streams, other locales, odd folders, odd answers."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from labctl.checks.model import Step
from labctl.cli import progress
from labctl.cli.root import root
from labctl.errors import LabctlError
from labctl.site.progress import Phase

PROGRAM = [sys.executable, "-c", "from labctl.cli import main; main()"]


def shell(home: Path, line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a shell line in which labctl is `$@`."""
    env = os.environ | {"LABCTL_HOME": str(home)} | environment
    return subprocess.run(["sh", "-c", line, "sh", *PROGRAM], env=env, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_none_to_fail_of(tmp_path: Path, closed: str) -> None:
    done = shell(tmp_path, f'"$@" topology list {closed}')
    assert (done.returncode, done.stderr) == (0, b"")
    assert shell(tmp_path, f'"$@" status nobody {closed}').returncode == 2


def test_a_closed_streams_number_is_not_a_files(tmp_path: Path) -> None:
    """The kernel gives the lowest free number: without care, what labctl opens next would receive its messages."""
    script = "from labctl.cli import streams; streams.prepare(); import os; print(os.open('/dev/null', 0))"
    command = ["sh", "-c", 'exec "$@" <&- 2>&-', "sh", sys.executable, "-c", script]
    assert int(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout) > 2


def test_a_full_disk_under_our_output_is_a_failure_that_is_named(tmp_path: Path) -> None:
    done = shell(tmp_path, '"$@" topology list >/dev/full')
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == b"Error: No space left on device"
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["iso-8859-1", "iso-8859-15"])
def test_characters_that_a_locale_lacks_are_printed_as_stand_ins(tmp_path: Path, encoding: str) -> None:
    done = shell(tmp_path, '"$@" status nobody', PYTHONIOENCODING=encoding)
    assert done.returncode == 2
    assert "  -> labctl create nobody" in done.stderr.decode("ascii")


def test_an_argument_that_is_no_text_can_be_named_in_a_message(tmp_path: Path) -> None:
    done = shell(tmp_path, r"""name=$(printf '/\377.yaml'); "$@" topology check "$name" """)
    assert done.returncode == 2
    assert b"/?.yaml cannot be read" in done.stderr


@pytest.mark.parametrize("home", ["/proc", "/proc/labctl", "/dev/null", "/dev/null/home"])
def test_a_state_folder_that_cannot_be_is_named(home: str) -> None:
    done = shell(Path(home), '"$@" image import x /dev/null --host qemu+ssh://root@127.0.0.1:1/system; "$@" use team01')
    assert b"Traceback" not in done.stderr
    assert b"bug in labctl" not in done.stderr


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("qemu+ssh://root@kvm1:99999/system", "Port out of range"),
        ("qemu+ssh://root@kvm1:x/system", "Port could not be cast"),
        ("qemu+ssh://root@[fe80::1/system", "Invalid IPv6 URL"),
        ("://kvm1", "is not a libvirt URI"),
        ("qemu+ssh:///system", "cannot be reached"),
    ],
)
def test_a_host_that_can_be_none_is_bad_input(tmp_path: Path, uri: str, why: str) -> None:
    done = shell(tmp_path, f'"$@" image list --host "{uri}"')
    assert done.returncode == 2, done.stderr
    assert why in done.stderr.decode()


@pytest.mark.parametrize(("group", "wrong", "near"), [("image", "improt", "import"), ("golden", "lst", "list")])
def test_the_nearest_name_is_suggested_in_groups_too(tmp_path: Path, group: str, wrong: str, near: str) -> None:
    assert f"Did you mean {near}?" in shell(tmp_path, f'"$@" {group} {wrong}').stderr.decode()


def test_no_is_an_answer_and_no_interruption() -> None:
    script = "from labctl.cli import options\nfrom labctl.cli.errors import guarded\nimport click, sys\n"
    script += "@click.command()\ndef ask(): options.confirm('Destroy team01?', no='Nothing was destroyed.')\n"
    script += "sys.exit(guarded(lambda: ask.main([], standalone_mode=False)))"
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", script], stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, b"n\n")
        assert process.wait(timeout=60) == 1
    said = os.read(ours, 4096).decode()
    os.close(ours)
    assert "Nothing was destroyed." in said
    assert "nterrupted" not in said


@pytest.mark.parametrize("height", [50, 3])
def test_what_looks_like_markup_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch, height: int) -> None:
    """`[/dev/kvm]` closes a style that was never opened, and raised an error in a thread."""
    console = progress._console()
    console.file, console.size = io.StringIO(), (200, height)  # type: ignore[assignment]
    live = progress._Live(console)
    live.say("QEMU: cannot open [/dev/kvm] [bold]:warning:")
    live.node("team01", "a", Phase.FAILED, "no [/dev/kvm] :smile:")
    console.print(live._render())
    said = console.file.getvalue()
    assert "QEMU: cannot open [/dev/kvm] [bold]:warning:" in said
    assert ("no [/dev/kvm] :smile:" in said) is (height == 50)
    assert ("1 failed" in said) is (height == 3)


def test_no_terminal_obeys_what_a_guest_says(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "gone\x1b]0;owned\x07\x1b[2J\x9b31m\r\nnext\tline\n"
    tame = "gone?]0;owned??[2J?31m\nnext\tline\n"
    error = LabctlError(evil, details=evil, remedy=evil)
    assert (error.brief, error.details, error.remedy) == (tame, tame, tame)
    assert Step(name="ask", evidence=evil).evidence == tame
    with progress.shown(quiet=False) as lines:
        lines.node("red", "node-1", Phase.FAILED, evil)
        lines.say(evil)
    said = capsys.readouterr().err
    assert said.count("gone?]0;owned??[2J?31m") == 2
    assert "\x1b" not in said


def test_no_terminal_obeys_what_a_log_of_a_node_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_HOME", str(tmp_path))
    folder = tmp_path / "labs" / "red" / "logs"
    folder.mkdir(parents=True)
    (folder / "glance-01-api-node.log").write_text("\x1b[2Jready\n")
    (tmp_path / "labs" / "red" / "lab.json").write_text("{}")
    for command in (["logs", "--team", "red"], ["logs", "glance-01", "--team", "red"]):
        said = CliRunner().invoke(root, command).output
        assert "?[2Jready" in said
        assert "\x1b" not in said
