"""A name server at the other end of a socket: it answers questions for addresses as BIND does, by TCP."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Mapping


def asked(names: Mapping[str, str]) -> socket.socket:
    """Return a socket at whose other end one question is answered."""
    ours, theirs = socket.socketpair()
    threading.Thread(target=_serve, args=(theirs, names), daemon=True).start()
    return ours


def _serve(opened: socket.socket, names: Mapping[str, str]) -> None:
    with opened:
        (length,) = struct.unpack("!H", opened.recv(2))
        said = answer(opened.recv(length), names)
        for byte in struct.pack("!H", len(said)) + said:
            opened.sendall(bytes([byte]))


def answer(query: bytes, names: Mapping[str, str]) -> bytes:
    """Return the answer to a question; an alias comes before each address."""
    labels, place = [], 12
    while length := query[place]:
        labels.append(query[place + 1 : place + 1 + length].decode())
        place += 1 + length
    question, found = query[12 : place + 5], names.get(".".join(labels) + ".")
    head = struct.pack("!6H", int.from_bytes(query[:2]), 0x8400 | (0 if found else 3), 1, 2 if found else 0, 0, 0)
    if not found:
        return head + question
    alias = struct.pack("!HHHIH", 0xC00C, 5, 1, 60, 4) + b"\x01x\xc0\x0c"
    return head + question + alias + struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(found)
