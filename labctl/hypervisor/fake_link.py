"""A connection to a fake host: tells of every call, and raises labctl's errors for what the host refuses."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Self

import libvirt

from labctl.hypervisor.fake_host import FakeHost
from labctl.hypervisor.fake_objects import Refusal
from labctl.hypervisor.translate import error_for


class FakeLink:
    """A connection to a fake host.

    Args:
        host: what stands there, also after this connection ends.
        trace: told of every call, before and after it; what it raises ends the call.
    """

    def __init__(self, host: FakeHost, *, trace: Callable[[str], None] | None = None) -> None:
        self.uri = "fake:///"
        self._host = host
        self._closed = False
        self._trace = trace or (lambda _: None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; what stands on the host stays."""
        self._closed = True

    @contextlib.contextmanager
    def _does(self, doing: str) -> Iterator[None]:
        """Do one call to libvirt: tell of it, hold the host still, and raise our error for what is refused."""
        self._trace(f"before: {doing}")
        try:
            with self._host.lock:
                if self._closed:
                    raise Refusal(libvirt.VIR_ERR_INVALID_CONN, "invalid connection pointer")
                yield
        except Refusal as exc:
            raise error_for(doing, exc.code, exc.message) from exc
        self._trace(f"after: {doing}")
