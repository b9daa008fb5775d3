"""Opens a shell that is plugged into a lab's networks."""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import re
import secrets
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from labctl.errors import InputError, ProcessError, RefusedError
from labctl.host.namespace import NetworkNamespace, wrap
from labctl.process import find, run

_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", re.ASCII)
_LOCALHOST = "127.0.0.1 localhost\n::1 localhost\n"
_SCRIPT = Path(__file__).parent / "enter.sh"


@dataclass(frozen=True, kw_only=True)
class Plug:
    """One network card of the shell.

    Attributes:
        name: the card's name in the shell: the network's in the topology (internal, public, mgmt).
        bridge: the network's bridge.
        address: the shell's own address there; one that no node has.
        prefix: length of the subnet's mask.
        mtu: bytes.
    """

    name: str
    bridge: str
    address: str
    prefix: int
    mtu: int = 1500


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
    if os.geteuid() != 0:
        raise RefusedError("Entering a lab makes network cards, which needs root", remedy="Run labctl with sudo.")
    inside, outside = _batches(plugs)
    with _terminal_signals_ignored(), contextlib.ExitStack() as open_ends:
        child, names, ready = _spawn(argv, env, open_ends)
        try:
            if os.read(ready, 16) != b"ready\n":
                raise ProcessError("The shell's namespaces could not be made", remedy="labctl doctor")
            run(wrap(base, ["ip", "-batch", "-"]), timeout=20, stdin=outside.replace("@PID@", str(child)).encode())
            shell = NetworkNamespace.of(child)
            run(wrap(shell, ["ip", "-batch", "-"]), timeout=20, stdin=inside.encode())
            names.write(_LOCALHOST + hosts)
            names.close()
        except BaseException:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise
        return _exit_code(os.waitpid(child, 0)[1])


def _batches(plugs: Sequence[Plug]) -> tuple[str, str]:
    """Return the lines for `ip -batch` inside the shell's namespace and beside the bridges."""
    inside, outside = ["link set lo up"], []
    run_id = secrets.token_hex(3)
    for number, plug in enumerate(plugs):
        _validate(plug)
        ours = f"lbe{run_id}n{number}"
        mac = "06:" + secrets.token_bytes(5).hex(":")
        outside += [
            f"link add {ours} mtu {plug.mtu} type veth peer name {plug.name} mtu {plug.mtu} address {mac} netns @PID@",
            f"link set {ours} master {plug.bridge} up",
        ]
        inside += [f"address add {plug.address}/{plug.prefix} dev {plug.name}", f"link set {plug.name} up"]
    return "\n".join(inside) + "\n", "\n".join(outside) + "\n"


def _validate(plug: Plug) -> None:
    """Refuse what would be read as something else on a line of `ip -batch`."""
    for device in (plug.name, plug.bridge):
        if not _DEVICE.fullmatch(device):
            raise InputError(f"{device!r} is no name of a network device", remedy="Use up to 15 letters and digits.")
    try:
        ipaddress.ip_interface(f"{plug.address}/{plug.prefix}")
    except ValueError as exc:
        raise InputError(f"{plug.address}/{plug.prefix} is no address", details=str(exc)) from exc


def _spawn(argv: Sequence[str], env: Mapping[str, str], ends: contextlib.ExitStack) -> tuple[int, TextIO, int]:
    """Start the program's namespaces.

    setpriv and unshare --kill-child pass on our death, even by SIGKILL: the kernel kills the namespace's process 1.

    Returns:
        The process that holds the namespaces, a file to write the names to and close, and a descriptor to read the
        word "ready" from.
    """
    for program in ("setpriv", "unshare", "tini", "ip"):
        if find(program) is None:
            raise ProcessError(f"{program} is not installed", remedy="labctl doctor names the package it comes in.")
    (names_read, names_write), (ready_read, ready_write) = _pipe(), _pipe()
    names = ends.enter_context(os.fdopen(names_write, "w"))
    ends.callback(os.close, ready_read)
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
    command += ["--mount-proc", "/bin/sh", str(_SCRIPT), *argv]
    try:
        child = os.posix_spawn(
            str(find("setpriv")),
            command,
            dict(env),
            file_actions=[(os.POSIX_SPAWN_DUP2, names_read, 3), (os.POSIX_SPAWN_DUP2, ready_write, 4)],
            setsigdef=[signal.SIGINT, signal.SIGQUIT],
        )
    finally:
        os.close(names_read)
        os.close(ready_write)
    return child, names, ready_read


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
