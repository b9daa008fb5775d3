"""The protocol of a machine behind a connection: a guest, forwarded ports, and an end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from labctl.guest import Command, Guest, Result

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from labctl.remote.stream import Stream


class Transport(Guest, Protocol):
    """A guest behind a connection; usable as a context manager and from several threads at once."""

    def run(
        self,
        command: Command,
        *,
        timeout: float,
        stdin: bytes | None = None,
        check: bool = True,
        on_output: Callable[[str], None] | None = None,
        cancelled: threading.Event | None = None,
    ) -> Result:
        """Run a command to its end; see `Guest.run`.

        Args:
            cancelled: gives the command up when set, with a RemoteError.
        """
        ...

    def forward(self, host: str, port: int, *, timeout: float = 30.0) -> Stream:
        """Return a connection to a port as seen from the machine.

        Raises:
            RemoteError: nobody answers there.
            DeadlineError: it took too long.
        """
        ...

    def close(self) -> None:
        """End the connection and whatever runs over it; safe from any thread and more than once."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
