"""A guest reached through its agent. It works without network and login, for example when a fault has cut both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from labctl.errors import RemoteError
from labctl.guest import files
from labctl.guest.files import File, put_script
from labctl.guest.guest import Command, Result, shell_line, shortened


class Inside(Protocol):
    """Runs a shell script in one guest through its agent."""

    def __call__(self, script: str, *, stdin: bytes, timeout: float) -> Result: ...  # noqa: D102


class AgentGuest:
    """A guest behind its agent; see `Guest`.

    Args:
        name: what messages call it.
        inside: runs a script there.
    """

    def __init__(self, name: str, inside: Inside) -> None:
        self.name = name
        self._inside = inside

    def run(
        self,
        command: Command,
        *,
        timeout: float,
        stdin: bytes | None = None,
        check: bool = True,
        on_output: Callable[[str], None] | None = None,
    ) -> Result:
        """Run a command to its end; its output is reported when it has ended. See `Guest.run`."""
        result = self._inside(shell_line(command), stdin=stdin or b"", timeout=timeout)
        if on_output is not None:
            for line in (result.stdout + result.stderr).splitlines():
                on_output(line)
        if check and not result.ok:
            raise RemoteError(
                f"{self.name}: {shortened(command)} failed with exit code {result.exit_code}", details=result.tail()
            )
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
        done = self._inside(script, stdin=content, timeout=timeout)
        if not done.ok:
            raise RemoteError(f"{self.name}: {path} cannot be written", details=done.tail())

    def read(self, path: str, *, timeout: float = 120.0) -> bytes:
        """Return the content of a file; see `Guest.read`."""
        found = self.look(path, timeout=timeout)
        if found is None or found.kind != "file":
            raise RemoteError(f"{self.name}: {path} cannot be read", details="There is no such file.")
        return found.content

    def look(self, path: str, *, timeout: float = 120.0) -> File | None:
        """Return what is at a path; see `Guest.look`."""
        return files.look(self, path, timeout=timeout)
