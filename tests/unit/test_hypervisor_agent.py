"""Guest agents: their users are root and may put anything in their place."""

from __future__ import annotations

import base64
import json
import threading

import libvirt_qemu
import pytest

from labctl.errors import RemoteError
from labctl.hypervisor import agent


class Domain:
    """A domain as far as agents need one."""

    def name(self) -> str:
        return "team01-a"


PID = '{"return": {"pid": 7}}'


@pytest.mark.parametrize(
    "answers",
    [
        ["", ""],
        ["{}", "{}"],
        ["[" * 100_000, ""],
        ['{"return": {}}', '{"return": []}'],
        ['{"return": {}}', PID, '{"return": {"exited": true, "out-data": "a"}}'],
        ['{"return": {}}', PID, '{"return": {"exited": true, "out-data": [1]}}'],
        ['{"return": {}}', PID, '{"return": []}'],
    ],
    ids=lambda answers: answers[-1][:40],
)
def test_an_answer_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch, answers: list[str]) -> None:
    said = iter(answers)
    monkeypatch.setattr(libvirt_qemu, "qemuAgentCommand", lambda *_: next(said))
    with pytest.raises(RemoteError, match="cannot be understood"):
        agent.execute(Domain(), "true", stdin=b"", timeout=5, cancelled=threading.Event())  # type: ignore[arg-type]


class Shell:
    """An agent: it runs no script, but keeps what each one is given, and never answers again after a large message."""

    def __init__(self, *, full: bool = False) -> None:
        self.given: list[tuple[str, bytes]] = []
        self.full = full

    def __call__(self, domain: object, message: str, *_: object) -> str:
        assert len(message) < 256 * 1024
        asked = json.loads(message)
        if asked["execute"] == "guest-ping":
            return '{"return": {}}'
        if asked["execute"] == "guest-exec":
            script, data = asked["arguments"]["arg"][1], asked["arguments"]["input-data"]
            self.given.append((script, base64.b64decode(data)))
            return PID
        script, data = self.given[-1]
        said = base64.b64encode(b"/run/labctl-input.x1\n" if "mktemp" in script else b"").decode()
        ended = {"exited": True, "exitcode": int(self.full and len(self.given) == 2), "out-data": said}
        return json.dumps({"return": ended})


def test_a_large_input_reaches_a_script_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    shell, content = Shell(), bytes(range(256)) * 1200
    monkeypatch.setattr(libvirt_qemu, "qemuAgentCommand", shell)
    done = agent.execute(Domain(), "wc -c", stdin=content, timeout=5, cancelled=threading.Event())  # type: ignore[arg-type]
    assert done.ok
    first, *pieces, last = shell.given
    assert first == ("umask 077; mktemp /run/labctl-input.XXXXXX", b"")
    assert {script for script, _ in pieces} == {"cat >>/run/labctl-input.x1"}
    assert b"".join(piece for _, piece in pieces) == content
    assert last == ("exec </run/labctl-input.x1; rm /run/labctl-input.x1\nwc -c", b"")


def test_a_piece_that_cannot_be_laid_down_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(full=True)
    monkeypatch.setattr(libvirt_qemu, "qemuAgentCommand", shell)
    done = agent.execute(Domain(), "wc -c", stdin=bytes(10**6), timeout=5, cancelled=threading.Event())  # type: ignore[arg-type]
    assert not done.ok
    assert len(shell.given) == 2


def test_a_small_input_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell()
    monkeypatch.setattr(libvirt_qemu, "qemuAgentCommand", shell)
    agent.execute(Domain(), "wc -c", stdin=b"x", timeout=5, cancelled=threading.Event())  # type: ignore[arg-type]
    assert shell.given == [("wc -c", b"x")]
