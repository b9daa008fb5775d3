"""Ports of this machine that lead to guests."""

from __future__ import annotations

import contextlib
import socket

import pytest

from labctl.errors import InputError, LabctlError, RefusedError
from labctl.remote.forward import Forward
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
