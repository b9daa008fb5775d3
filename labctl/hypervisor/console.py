"""A running domain's serial console: bytes in both directions."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import libvirt

_MOST = 64 * 1024
_READABLE = libvirt.VIR_STREAM_EVENT_READABLE
_OVER = libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP


class Console:
    """An open console. libvirt gives it to one at a time, the last who asked.

    Args:
        stream: not blocking, connected with the console.
        received: told what the guest printed, in libvirt's own thread; nothing at the end.
    """

    def __init__(self, stream: libvirt.virStream, received: Callable[[bytes], object]) -> None:
        self._stream, self._received = stream, received
        self._lock = threading.Lock()
        self._open = True
        stream.eventAddCallback(_READABLE | _OVER, self._happened, None)

    def write(self, data: bytes) -> None:
        """Type."""
        with self._lock, contextlib.suppress(libvirt.libvirtError):  # it has ended
            if self._open:
                self._stream.send(data)

    def close(self) -> None:
        """Let go of the console; safe more than once."""
        with self._lock:
            if not self._open:
                return
            self._open = False
        with contextlib.suppress(libvirt.libvirtError):
            self._stream.eventRemoveCallback()
        with contextlib.suppress(libvirt.libvirtError):
            self._stream.abort()

    def _happened(self, stream: libvirt.virStream, events: int, _: Any) -> None:
        data: Any = b""
        if events & _READABLE:
            try:
                data = stream.recv(_MOST)
            except libvirt.libvirtError:
                data = b""
        if isinstance(data, int):  # -2: there is nothing yet
            return
        self._received(data)
        if not data:
            self.close()
