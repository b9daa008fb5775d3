"""Asks a name server of a lab for an address, over the lab's dialer: by TCP, as RFC 1035 has it."""

from __future__ import annotations

import secrets
import socket
import struct

from labctl.cloud.http import Dialer
from labctl.errors import RemoteError

_A, _IN = 1, 1
_CODES = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
_POINTER = 0xC0  # of a length: the rest of the name stands elsewhere


def addresses(dialer: Dialer, server: str, name: str, *, timeout: float) -> list[str]:
    """Return the IPv4 addresses that a name has; nothing where the server knows the name without one.

    Args:
        server: name or address in the lab.
        timeout: seconds for each of the connection and its answers.

    Raises:
        RemoteError: the server says that there is no such name, does not want to tell, or answers nonsense.
        LabctlError: it cannot be reached.
    """
    number = secrets.randbelow(1 << 16)
    labels = b"".join(bytes([len(label)]) + label for label in name.rstrip(".").encode("idna").split(b"."))
    query = struct.pack("!6H", number, 0, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, _A, _IN)
    with dialer.open(server, 53, timeout=timeout) as opened:
        opened.settimeout(timeout)
        opened.sendall(struct.pack("!H", len(query)) + query)
        (length,) = struct.unpack("!H", _read(opened, 2))
        answer = _read(opened, length)
    try:
        return _told(answer, f"{server} says {{}} to {name}")
    except (struct.error, IndexError) as exc:
        raise RemoteError(f"{server} gave an answer to {name} that is no DNS message") from exc


def _told(answer: bytes, refusal: str) -> list[str]:
    """Return the addresses in an answer."""
    _, flags, questions, count = struct.unpack_from("!4H", answer)
    if code := flags & 0xF:
        raise RemoteError(refusal.format(_CODES.get(code, code)))
    place = 12
    for _ in range(questions):
        place = _behind(answer, place) + 4
    found = []
    for _ in range(count):
        place = _behind(answer, place)
        kind, _, _, size = struct.unpack_from("!HHIH", answer, place)
        place += 10
        if kind == _A:
            found.append(socket.inet_ntoa(answer[place : place + size]))
        place += size
    return found


def _behind(message: bytes, place: int) -> int:
    """Return the place behind a name."""
    while (length := message[place]) and length < _POINTER:
        place += 1 + length
    return place + (2 if length else 1)


def _read(opened: socket.socket, count: int) -> bytes:
    read = b""
    while len(read) < count:
        if not (some := opened.recv(count - len(read))):
            raise RemoteError("the name server closed the connection")
        read += some
    return read
