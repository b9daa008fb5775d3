"""The head of a memory image."""

from __future__ import annotations

import struct

import pytest

from labctl.errors import HypervisorError
from labctl.hypervisor.memory import Head

DOCUMENT, COOKIE = "<domain type='kvm'><name>team01-db-node</name></domain>", "<qemusave/>"
ROOM = 4096


def image(magic: bytes = b"LibvirtQemudSave", version: int = 2, form: int = 0, room: int = ROOM) -> bytes:
    """Write an image as libvirt does: header, document, cookie, zeros, QEMU's stream."""
    body = DOCUMENT.encode() + b"\0" + COOKIE.encode() + b"\0"
    header = magic + struct.pack("<5I", version, room, 1, form, len(DOCUMENT) + 1) + bytes(56)
    return header + body.ljust(room, b"\0") + b"QEVM and so on"


def test_a_head_is_read_and_written_byte_for_byte() -> None:
    content = image()
    head = Head.parse(content)
    assert (head.document, head.cookie, head.room, head.running) == (DOCUMENT, COOKIE, ROOM, True)
    assert head.encode() == content[: head.length]
    assert content[head.length :] == b"QEVM and so on"


def test_another_document_takes_the_same_room() -> None:
    other = Head.parse(image()).of("<domain type='kvm'><name>team02-db-node-with-a-longer-name</name></domain>")
    written = other.encode()
    assert len(written) == other.length
    assert Head.parse(written) == other


def test_a_document_that_does_not_fit_is_refused() -> None:
    with pytest.raises(HypervisorError, match="cannot be restored"):
        Head.parse(image()).of("x" * ROOM).encode()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"LibvirtQemudSave", "shorter than a header"),
        (image(magic=b"LibvirtQemudPart"), "did not finish"),
        (image(magic=b"SomethingElse123"), "begins with"),
        (image(version=3), "version 3"),
        (image(form=6), "format 6"),
        (image()[:200], "cut off"),
        (image()[:2000] + b"?" + image()[2001:], "unknown data"),
    ],
)
def test_what_is_not_known_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(HypervisorError) as caught:
        Head.parse(content)
    assert why in caught.value.details
    assert "--cold" in caught.value.remedy
