"""Asks a libvirt daemon whether it is there, without libvirt's library."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

# The first call of every libvirt client: which authentication is wanted? Header of libvirt's wire protocol: length,
# program (remote), version, procedure (REMOTE_PROC_AUTH_LIST), type (call), serial, status. The daemon opens its
# socket early, but answers only when its drivers are ready.
_CALL = struct.pack(">7I", 28, 0x20008086, 1, 66, 0, 0, 0)


def answers(path: Path, *, timeout: float) -> bool:
    """Whether the daemon behind a UNIX socket answers a call within `timeout` seconds."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(timeout)
        try:
            link.connect(str(path))
            link.sendall(_CALL)
            return len(link.recv(28)) == 28
        except OSError:
            return False
