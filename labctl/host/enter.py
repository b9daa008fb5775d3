"""Opens a shell that is plugged into a lab's networks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from labctl.errors import ProcessError
from labctl.host.namespace import NetworkNamespace
from labctl.host.plugged import Plug, Plugged
from labctl.process import find

_LOCALHOST = "127.0.0.1 localhost\n::1 localhost\n"
_SCRIPT = Path(__file__).parent / "enter.sh"


def enter(
    argv: Sequence[str],
    *,
    base: NetworkNamespace | None,
    plugs: Sequence[Plug],
    hosts: str,
    env: Mapping[str, str],
) -> int:
    """Run a program on the terminal, with its own network cards in the given bridges and its own /etc/hosts.

    Its network, mounts and processes are namespaces of their own: all of it is gone when the program ends, whatever
    it started, and also when labctl is killed. Call it from the main thread.

    Args:
        argv: the program, usually a shell, and its arguments.
        base: network namespace of the bridges; None for the machine's own.
        plugs: its network cards.
        hosts: lines for its /etc/hosts; localhost is added.
        env: its whole environment.

    Returns:
        Its exit code; 128 + signal when a signal ended it.

    Raises:
        InputError: a plug's value cannot be right.
        RefusedError: we are not root.
        ProcessError: a bridge is missing, or the namespaces could not be made.
    """
    with _terminal_signals_ignored(), contextlib.closing(Plugged(base, plugs)) as place:
        child, names = _spawn(place, argv, env)
        try:
            with contextlib.suppress(BrokenPipeError), names:  # it may have ended already
                names.write(_LOCALHOST + hosts)
        except BaseException:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise
        return _exit_code(os.waitpid(child, 0)[1])


def _spawn(place: Plugged, argv: Sequence[str], env: Mapping[str, str]) -> tuple[int, TextIO]:
    """Start the program in namespaces of its own; return its process, and a file to write the names to and close.

    setpriv and unshare --kill-child pass on our death, even by SIGKILL: the kernel kills the namespace's process 1.
    """
    for program in ("setpriv", "nsenter", "unshare", "tini"):
        if find(program) is None:
            raise ProcessError(f"{program} is not installed", remedy="labctl doctor names the package it comes in.")
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sh", str(_SCRIPT), *argv]
    names_read, names_write = _pipe()
    names = os.fdopen(names_write, "w")
    try:
        child = os.posix_spawn(
            str(find("setpriv")),
            ["setpriv", "--pdeathsig", "KILL", *place.wrap(command)],
            dict(env),
            file_actions=[(os.POSIX_SPAWN_DUP2, names_read, 3)],
            setsigdef=[signal.SIGINT, signal.SIGQUIT],
        )
    except BaseException:
        names.close()
        raise
    finally:
        os.close(names_read)
    return child, names


def _pipe() -> tuple[int, int]:
    """Return a pipe whose descriptors are none of those that the program is given."""
    low = os.pipe()
    high = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low)
    for end in low:
        os.close(end)
    return high[0], high[1]


@contextlib.contextmanager
def _terminal_signals_ignored() -> Iterator[None]:
    """Leave the terminal's Ctrl-C and Ctrl-\\ to the program that runs on it."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
