"""Guest agents: their users are root and may put anything in their place."""

from __future__ import annotations

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
