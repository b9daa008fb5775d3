"""One connection to libvirt. It is opened within a time limit, and a dead connection is detected."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import UUID

import libvirt

from labctl.errors import HypervisorError
from labctl.hypervisor import events
from labctl.hypervisor.translate import translated

_CONNECT = {False: 20.0, True: 60.0}  # seconds, by whether SSH is on the way


class Link:
    """A libvirt connection; a context manager that closes it.

    Args:
        uri: a libvirt URI, for instance qemu:///system or test:///default.

    Raises:
        HypervisorError: nothing answers there, or not in time.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._known: dict[UUID | str, Any] = {}  # domains by UUID and pools by name, which are asked for once
        events.start_loop()
        with translated(f"connect to {uri}", remedy=_connecting(uri)):
            self._connection = _opened(uri)
            # A peer that is dead or hangs is noticed after 20 s; drivers that are not remote refuse, and need none.
            with contextlib.suppress(libvirt.libvirtError):
                self._connection.setKeepAlive(5, 3)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; libvirt may have lost it already. It stays open while anything of it is kept."""
        self._known.clear()
        with contextlib.suppress(libvirt.libvirtError):
            self._connection.close()

    @staticmethod
    def _start(thing: Any, doing: str, create: Callable[[], object] | None = None) -> None:
        with translated(doing):
            try:
                (create or thing.create)()
            except libvirt.libvirtError:
                if not thing.isActive():  # otherwise it runs already
                    raise


def _opened(uri: str) -> libvirt.virConnect:
    """Open a connection, within the time that a socket-activated libvirtd needs to start.

    libvirt's own call waits for ever if libvirtd hangs, because keepalive begins only when the connection exists.
    """
    answers: queue.SimpleQueue[libvirt.virConnect | libvirt.libvirtError] = queue.SimpleQueue()
    given_up = threading.Event()

    def connect() -> None:
        try:
            connection = libvirt.open(uri)
        except libvirt.libvirtError as exc:
            answers.put(exc)
            return
        answers.put(connection)
        if given_up.is_set():
            connection.close()

    threading.Thread(target=connect, name="libvirt-open", daemon=True).start()
    seconds = _CONNECT["ssh" in urlsplit(uri).scheme]
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        given_up.set()
        raise HypervisorError(
            f"libvirt at {uri} does not answer within {seconds:.0f} s",
            details="Something accepts connections there but does not answer: libvirtd hangs, or is still starting.",
            remedy=f"Try again; if it stays so, restart libvirtd there. {_connecting(uri)}",
        ) from None
    if isinstance(answer, libvirt.libvirtError):
        raise answer
    return answer


def _connecting(uri: str) -> str:
    """Say what to look at when nothing answers at a URI."""
    parts = urlsplit(uri)
    if "ssh" not in parts.scheme:
        return "See that libvirtd runs: labctl doctor, labctl host status."
    user = f"{parts.username}@" if parts.username else ""
    port = f" -p {parts.port}" if parts.port else ""
    return f"`ssh{port} {user}{parts.hostname}` must work without a question, and libvirtd run there; try it first."
