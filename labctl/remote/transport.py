"""What actions need of a machine: run a command, put and get a file, reach a port. Whoever runs them passes one in."""

from __future__ import annotations

import posixpath
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from labctl import quoting

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from labctl.remote.stream import Stream

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


class Transport(Protocol):
    """A machine that obeys; usable as a context manager and from several threads at once."""

    name: str

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
        """Run a command to its end.

        Args:
            command: a line for the shell, or a program and its arguments. Messages quote it, so secrets belong
                in `stdin`.
            timeout: seconds it may take.
            stdin: its input; empty when None.
            check: whether an exit code other than 0 is an error.
            on_output: receives every line of output and complaint as it comes, without the newline.
            cancelled: gives the command up when set.

        Raises:
            RemoteError: it failed (with `check`), the machine was lost, or `cancelled` was set.
            DeadlineError: it took too long; the details hold what it said last.
        """
        ...

    def put(
        self, content: bytes, path: str, *, mode: int = 0o644, owner: str | None = None, timeout: float = 120.0
    ) -> None:
        """Write a file so that a reader sees the old content or the new, never a part.

        Args:
            content: every byte of it.
            path: absolute; its folder exists.
            mode: permissions.
            owner: `user` or `user:group`; who we log in as when None.
            timeout: seconds it may take.

        Raises:
            RemoteError: it could not be written.
            DeadlineError: it took too long.
        """
        ...

    def get(self, path: str, *, timeout: float = 120.0) -> bytes:
        """Return the content of a file.

        Raises:
            RemoteError: it cannot be read.
            DeadlineError: it took too long.
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


def put_script(path: str, *, size: int, mode: int, owner: str | None) -> str:
    """Return the shell line that writes its input to a file: beside it, checked, then renamed over it.

    A lost connection looks like the end of the input, so the number of bytes is checked before the renaming. Programs
    cost tens of milliseconds each in an emulated guest: none runs that is not needed.

    Args:
        path: absolute.
        size: bytes that the input must have.
        mode: permissions.
        owner: `user` or `user:group`, or None to leave it.
    """
    folder, name = posixpath.split(path)
    beside = quoting.shell(posixpath.join(folder, f".{name}.{secrets.token_hex(4)}"))
    target = quoting.shell(path)
    steps = [f"test ! -d {target}", f"cat >{beside}", f'test "$(wc -c <{beside})" -eq {size}']
    if owner is not None:
        steps.append(f"chown {quoting.shell(owner)} {beside}")
    if mode != 0o600:
        steps.append(f"chmod {mode:04o} {beside}")
    steps.append(f"mv -f {beside} {target}")
    return f"umask 077; {' && '.join(steps)} || {{ rm -f {beside}; exit 1; }}"


def shell_line(command: Command) -> str:
    """Return a command as one line for the shell; a sequence is quoted, text is left as it is."""
    return command if isinstance(command, str) else quoting.shell_line(command)


def shortened(command: Command, length: int = 72) -> str:
    """Return the first line of a command, cut for a message."""
    first, *more = shell_line(command).strip().splitlines() or [""]
    return first if len(first) <= length and not more else first[: length - 1].rstrip() + "…"
