"""Runs commands and writes files in a container on this machine: the transport of disks that are baked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from labctl.errors import DeadlineError, ProcessError, RemoteError
from labctl.guest import Command, File, Result, files, put_script, shell_line, shortened
from labctl.host import containers, namespace
from labctl.host.namespace import NetworkNamespace
from labctl.process import execute

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from labctl.remote.stream import Stream


class ContainerTransport:
    """A container; see `Transport`.

    Args:
        name: what messages call it.
        pid: its process 1, as this machine numbers it.
    """

    def __init__(self, name: str, pid: int) -> None:
        self.name = name
        self._pid = pid

    def run(
        self,
        command: Command,
        *,
        timeout: float,
        stdin: bytes | None = None,
        check: bool = True,
        on_output: Callable[[str], None] | None = None,
        cancelled: threading.Event | None = None,  # noqa: ARG002 - commands are short at the machine's own speed
    ) -> Result:
        """Run a command to its end; its output is reported when it has ended. See `Transport.run`."""
        try:
            code, said, complained = execute(
                containers.enter(self._pid, shell_line(command)), timeout=timeout, stdin=stdin, env=_ENVIRONMENT
            )
        except ProcessError as exc:
            raise DeadlineError(f"{self.name}: {shortened(command)}: {exc.brief}", details=exc.details) from exc
        result = Result(
            exit_code=code, stdout=said.decode(errors="replace"), stderr=complained.decode(errors="replace")
        )
        if on_output is not None:
            for line in (result.stdout + result.stderr).splitlines():
                on_output(line)
        if check and code:
            raise RemoteError(f"{self.name}: {shortened(command)} failed with exit code {code}", details=result.tail())
        return result

    def put(
        self,
        content: bytes,
        path: str,
        *,
        mode: int = 0o644,
        owner: str | None = None,
        mtime: int | None = None,
        timeout: float = 120.0,
    ) -> None:
        """Write a file in one step; see `Guest.put`."""
        script = put_script(path, size=len(content), mode=mode, owner=owner, mtime=mtime)
        done = self.run(script, timeout=timeout, stdin=content, check=False)
        if not done.ok:
            raise RemoteError(f"{self.name}: {path} cannot be written", details=done.stderr.strip())

    def read(self, path: str, *, timeout: float = 120.0) -> bytes:
        """Return the content of a file; see `Guest.read`."""
        code, content, complained = execute(
            containers.enter(self._pid, shell_line(["cat", "--", path])), timeout=timeout
        )
        if code:
            raise RemoteError(f"{self.name}: {path} cannot be read", details=complained.decode(errors="replace"))
        return content

    def look(self, path: str, *, timeout: float = 120.0) -> File | None:
        """Return what is at a path; see `Guest.look`."""
        return files.look(self, path, timeout=timeout)

    def forward(self, host: str, port: int, *, timeout: float = 30.0) -> Stream:
        """Return a connection to a port as seen from the container; see `Transport.forward`."""
        return namespace.connect(NetworkNamespace.of(self._pid), host, port, timeout=timeout)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


_ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "USER": "root",
}
