"""Looks at other processes, and detects process numbers that were reused."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, kw_only=True)
class ProcessId:
    """Identifies one process: its number may be reused, number and start time together are unique.

    Attributes:
        pid: process number.
        start: clock ticks after the machine's start, field 22 of /proc/PID/stat.
    """

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """Return the identity of the process that has the number now; None when none is alive."""
        fields = _stat(pid)
        return cls(pid=pid, start=int(fields[19])) if fields else None

    @property
    def alive(self) -> bool:
        """Whether it runs; a zombie that waits for its parent does not."""
        return ProcessId.of(self.pid) == self

    def open(self) -> int | None:
        """Return a descriptor on the process that stays on this one; None when it is gone."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if self.alive:
            return descriptor
        os.close(descriptor)
        return None


def end(process: ProcessId, *, number: signal.Signals, timeout: float) -> bool:
    """Send a signal to exactly this process and wait until it is gone.

    Args:
        process: whom.
        number: the signal.
        timeout: seconds to wait.

    Returns:
        Whether the process is gone.
    """
    descriptor = process.open()
    if descriptor is None:
        return True
    try:
        signal.pidfd_send_signal(descriptor, number)
        ready, _, _ = select.select([descriptor], [], [], timeout)
        return bool(ready)
    except ProcessLookupError:
        return True
    finally:
        os.close(descriptor)


def every() -> Iterator[int]:
    """Yield the number of every process."""
    for entry in os.scandir(_PROC):
        if entry.name.isdigit():
            yield int(entry.name)


def arguments(pid: int) -> tuple[str, ...]:
    """Return the command line of a process, empty when it is gone or a zombie."""
    return tuple(_words(pid, "cmdline"))


def environment(pid: int) -> dict[str, str]:
    """Return the environment that a process was started with, empty when it is gone or a zombie."""
    return dict(word.split("=", 1) for word in _words(pid, "environ") if "=" in word)


def namespace_of(pid: int, kind: str) -> int | None:
    """Return the number of the process's namespace of a kind (pid, net, mnt, ...); None when it is gone."""
    try:
        return (_PROC / str(pid) / "ns" / kind).stat().st_ino
    except OSError:
        return None


def is_init(pid: int) -> bool:
    """Whether the process is number 1 of a process namespace below ours."""
    try:
        status = (_PROC / str(pid) / "status").read_text(errors="replace")
    except OSError:
        return False
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return len(numbers) > 1 and numbers[-1] == "1"


def _words(pid: int, file: str) -> list[str]:
    try:
        content = (_PROC / str(pid) / file).read_bytes()
    except OSError:
        return []
    return [os.fsdecode(word) for word in content.split(b"\0") if word]


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the third on; None when the process is gone or a zombie."""
    try:
        content = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    fields = content.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields
