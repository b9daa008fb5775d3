"""Questions to a lab's name server, over its dialer."""

from __future__ import annotations

import socket

import pytest

from labctl.cloud.names import addresses
from labctl.errors import RemoteError
from tests.unit import fake_names


class Names:
    """A lab with a name server."""

    def __init__(self, *, says: bytes | None = None) -> None:
        self.says, self.dialled = says, ("", 0)

    def open(self, name: str, port: int, *, timeout: float) -> socket.socket:
        self.dialled = name, port
        if self.says is None:
            return fake_names.asked({"vm1.example.org.": "172.16.1.9"})
        ours, theirs = socket.socketpair()
        theirs.sendall(self.says)
        theirs.shutdown(socket.SHUT_WR)
        self.kept = theirs
        return ours

    def address(self, name: str) -> str:
        return name


@pytest.mark.parametrize("name", ["vm1.example.org.", "vm1.example.org"])
def test_an_address_is_found_behind_an_alias_and_a_pointer(name: str) -> None:
    lab = Names()
    assert addresses(lab, "ns", name, timeout=5) == ["172.16.1.9"]
    assert lab.dialled == ("ns", 53)


def test_a_name_that_there_is_not_is_told_as_the_server_tells_it() -> None:
    with pytest.raises(RemoteError, match=r"ns says NXDOMAIN to vm2\.example\.org"):
        addresses(Names(), "ns", "vm2.example.org", timeout=5)


@pytest.mark.parametrize("says", [b"", b"\x00", b"\x00\x40short", b"\x00\x04nope", b"\x00\x0c\0\0\0\0\0\1\0\1\0\0\0\0"])
def test_an_answer_that_is_cut_off_or_nonsense_is_a_clear_error(says: bytes) -> None:
    with pytest.raises(RemoteError):
        addresses(Names(says=says), "ns", "vm1.example.org", timeout=5)
