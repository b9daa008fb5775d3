"""Waiting for SSH sees every state of a booting node, and ends when it should."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from netaddr import IPNetwork

from labctl.errors import DeadlineError, RemoteError
from labctl.remote import dial, wait

Answer = Callable[[], socket.socket]


def _says(content: bytes, *, then_close: bool = False) -> Answer:
    def answer() -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.sendall(content)
        if then_close:
            theirs.close()
        else:
            _kept.append(theirs)
        return ours

    return answer


def _refuses() -> socket.socket:
    raise RemoteError("192.0.2.3 does not answer on port 22", details="[Errno 111] Connection refused")


_kept: list[socket.socket] = []
GREETING = b"SSH-2.0-OpenSSH_10.0p2 Debian-7\r\n"


@pytest.fixture(autouse=True)
def _close_kept() -> None:
    while _kept:
        _kept.pop().close()


class ScriptedDialer:
    """Answers one attempt after the other as told; the last answer stays."""

    def __init__(self, *answers: Answer) -> None:
        self.patience = 1.0
        self.attempts = 0
        self._answers = list(answers)

    def connect(self, address: str, port: int, *, timeout: float) -> socket.socket:
        self.attempts += 1
        return (self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])()

    def routes(self) -> list[IPNetwork]:
        return []

    def command(self, argv: Sequence[str]) -> list[str]:
        return list(argv)

    def ssh_options(self) -> list[str]:
        return []

    def close(self) -> None:
        pass


def _soon(seconds: float) -> float:
    return time.monotonic() + seconds


def test_it_waits_through_refusals_and_hangups_until_sshd_greets() -> None:
    dialer = ScriptedDialer(_refuses, _says(b"", then_close=True), _refuses, _says(GREETING))
    stream = wait.wait_for_ssh(dialer, "192.0.2.3", deadline=_soon(10))
    assert stream.recv(100) == GREETING  # still there for who logs in
    assert dialer.attempts == 4
    stream.close()


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (_refuses, "Connection refused"),
        (_says(b""), "does not greet"),
        (_says(b"", then_close=True), "closes them"),
        (_says(b"220 smtp\r\n"), "not SSH"),
    ],
)
def test_the_deadline_tells_the_last_state_seen(answer: Answer, state: str) -> None:
    started = time.monotonic()
    with pytest.raises(DeadlineError) as caught:
        wait.wait_for_ssh(ScriptedDialer(answer), "192.0.2.3", deadline=_soon(0.4))
    assert state in caught.value.details
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("answer", [_refuses, _says(b"")])
def test_an_interrupt_ends_the_wait(answer: Answer) -> None:
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    started = time.monotonic()
    with pytest.raises(RemoteError, match="interrupted"):
        wait.wait_for_ssh(ScriptedDialer(answer), "192.0.2.3", deadline=_soon(60), cancelled=cancelled)
    assert time.monotonic() - started < 2


def test_refusals_are_not_asked_again_in_a_spin() -> None:
    dialer = ScriptedDialer(_refuses)
    with pytest.raises(DeadlineError):
        wait.wait_for_ssh(dialer, "192.0.2.3", deadline=_soon(1))
    assert dialer.attempts < 7


def _host_is_away() -> socket.socket:
    raise dial.HostError("kvm1: nobody listens there")


def test_a_host_that_is_away_ends_the_wait_at_once() -> None:
    with pytest.raises(dial.HostError):
        wait.wait_for_ssh(ScriptedDialer(_host_is_away), "192.0.2.3", deadline=_soon(60))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (_says(GREETING), "SSH-2.0-OpenSSH_10.0p2 Debian-7"),
        (_says(b"SSH-2.0"), None),
        (_says(b"HTTP/1.0 200\r\n"), None),
        (_says(b"", then_close=True), None),
        (_refuses, None),
    ],
)
def test_the_banner_is_told(answer: Answer, expected: str | None) -> None:
    assert wait.banner(ScriptedDialer(answer), "192.0.2.3", timeout=0.3) == expected
