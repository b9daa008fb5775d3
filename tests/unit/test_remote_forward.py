"""Ports of this machine that lead to guests."""

from __future__ import annotations

import contextlib
import os
import socket
import threading

import pytest

from labctl.errors import InputError, LabctlError, RefusedError
from labctl.remote.forward import Forward, carry
from labctl.remote.stream import Stream


def nobody() -> Stream:
    raise LabctlError("nobody is there")


@pytest.mark.parametrize(
    "address", ["", " ", "192.0.2.1", "no such host", "a" * 70, "a..b", "::ffff", "fe80::1%nowhere"]
)
def test_an_address_that_is_none_of_ours_is_bad_input(address: str) -> None:
    """An empty one would listen on every address of the machine."""
    with pytest.raises(InputError, match="no address of this machine"):
        Forward(address, 0, nobody)


def test_a_port_that_is_taken_is_refused() -> None:
    with contextlib.closing(Forward("127.0.0.1", 0, nobody)) as first, pytest.raises(RefusedError, match="listened on"):
        Forward("127.0.0.1", first.port, nobody)


@pytest.mark.parametrize(("address", "netloc"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_a_caller_whose_guest_is_gone_sees_a_closed_connection(address: str, netloc: str) -> None:
    with contextlib.closing(Forward(address, 0, nobody)) as forward:
        assert forward.netloc == f"{netloc}:{forward.port}"
        with socket.create_connection((address, forward.port), timeout=10) as client:
            assert client.recv(1) == b""


def test_standard_input_and_output_are_carried_until_the_other_side_has_ended() -> None:
    ours, theirs = socket.socketpair()
    (source, typed), (printed, target) = os.pipe(), os.pipe()
    thread = threading.Thread(target=carry, args=(ours,), kwargs={"source": source, "target": target})
    thread.start()
    os.write(typed, b"question")
    os.close(typed)
    assert b"".join(iter(lambda: theirs.recv(64), b"")) == b"question"  # the end of the input arrives too
    reader = Reader(printed)
    theirs.sendall(b"answer" * 100_000)
    theirs.close()
    thread.join(10)
    os.close(target)
    assert reader.content() == b"answer" * 100_000
    os.close(source)


class Reader(threading.Thread):
    """Reads a pipe to its end."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor, self._content = descriptor, b""
        self.start()

    def run(self) -> None:
        with os.fdopen(self._descriptor, "rb") as file:
            self._content = file.read()

    def content(self) -> bytes:
        self.join(10)
        return self._content
