"""The protocol of guests, and how a command in one ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from labctl import quoting

if TYPE_CHECKING:
    from labctl.guest.files import File

Command = str | Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a command ended.

    Attributes:
        exit_code: what it returned; -1 when a signal ended it.
        stdout: its output, bytes that are no UTF-8 replaced.
        stderr: its complaints, likewise.
    """

    exit_code: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        return self.exit_code == 0

    def tail(self, lines: int = 12) -> str:
        """Return the last lines of its complaints, or of its output when it made none."""
        return "\n".join((self.stderr.strip() or self.stdout.strip()).splitlines()[-lines:])


class Guest(Protocol):
    """A machine that runs commands; safe to use from many threads."""

    name: str

    def run(
        self,
        command: Command,
        *,
        timeout: float,
        stdin: bytes | None = None,
        check: bool = True,
        on_output: Callable[[str], None] | None = None,
    ) -> Result:
        """Run a command to its end, as root.

        Args:
            command: a line for the shell, or a program and its arguments. Messages quote it, so secrets belong
                in `stdin`.
            timeout: seconds it may take.
            stdin: its input; empty when None.
            check: whether an exit code other than 0 is an error.
            on_output: receives every line of output and complaint, without the newline.

        Raises:
            RemoteError: it failed (with `check`), or the machine was lost.
            DeadlineError: it took too long; the details hold what it said last.
        """
        ...

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
        """Write a file so that a reader sees the old content or the new, never a part.

        Args:
            content: every byte of it.
            path: absolute; its folder exists.
            mode: permissions.
            owner: `user` or `user:group`; who we log in as when None.
            mtime: when it was changed, nanoseconds since 1970; now when None. Its folder's time is kept, too.
            timeout: seconds it may take.

        Raises:
            RemoteError: it could not be written.
            DeadlineError: it took too long.
        """
        ...

    def read(self, path: str, *, timeout: float = 120.0) -> bytes:
        """Return the content of a file.

        Raises:
            RemoteError: it cannot be read.
            DeadlineError: it took too long.
        """
        ...

    def look(self, path: str, *, timeout: float = 120.0) -> File | None:
        """Return what is at a path, a link as a link; None where nothing is.

        Raises:
            RemoteError: it cannot be looked at.
            DeadlineError: it took too long.
        """
        ...


def shell_line(command: Command) -> str:
    """Return a command as one line for the shell; a sequence is quoted, text is left as it is."""
    return command if isinstance(command, str) else quoting.shell_line(command)


def shortened(command: Command, length: int = 72) -> str:
    """Return the first line of a command, cut for a message."""
    first, *more = shell_line(command).strip().splitlines() or [""]
    return first if len(first) <= length and not more else first[: length - 1].rstrip() + "…"
