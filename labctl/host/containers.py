"""Runs the disks of a lab's nodes as containers on this machine: the same programs, at the machine's own speed.

Nothing of it is seen outside: network, mounts and processes are in namespaces of their own that die with labctl.
"""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from labctl import waiting
from labctl.errors import DeadlineError, ProcessError, RefusedError
from labctl.host import processes
from labctl.process import find, run

_SCRIPT = Path(__file__).with_name("containers.sh")
_PROGRAMS = ("setpriv", "unshare", "ip", "mount", "qemu-storage-daemon", "systemd-nspawn")
_START = 120.0  # seconds until all containers have booted
_STOP = 180.0  # seconds until all have shut down and their disks are written


@dataclass(frozen=True, kw_only=True)
class Card:
    """A network card of a container: its name, the network that it is plugged into, its address with prefix."""

    name: str
    network: str
    address: str | None = None


@dataclass(frozen=True, kw_only=True)
class Container:
    """A node to run.

    Attributes:
        disk: a qcow2 file with one partition; it is changed.
    """

    name: str
    disk: Path
    cards: tuple[Card, ...]


@contextmanager
def running(
    containers: Sequence[Container], *, folder: Path, log: Path, medium: Path | None = None
) -> Iterator[dict[str, int]]:
    """Boot containers, yield the number of each one's process 1, and shut them down; then their disks are whole.

    Args:
        folder: empty, for the containers' files while they run.
        log: receives what they and the programs say.
        medium: a raw file system for /media/labctl.

    Raises:
        RefusedError: we are not root.
        ProcessError: a program is missing, or they did not start, or a disk could not be written to its end.
        DeadlineError: they took too long to start or to stop.
    """
    if os.geteuid() != 0:
        raise RefusedError("containers are run as root", remedy="Run the command with sudo.")
    missing = [program for program in _PROGRAMS if find(program) is None]
    if missing:
        raise ProcessError(f"{', '.join(missing)} are missing", remedy="labctl doctor names the packages they come in.")
    run_id = secrets.token_hex(4)
    _describe(containers, folder, medium)
    child = _spawn(folder, run_id, log)
    try:
        found = _wait_started(child, run_id, [container.name for container in containers], log)
        yield found
        for pid in found.values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGRTMIN + 4)  # systemd: poweroff
        _wait_ended(child, log)
    except BaseException:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)  # unshare --kill-child takes the rest with it
            os.waitpid(child, 0)
        raise
    finally:
        _clear_groups()


def enter(pid: int, command: str) -> list[str]:
    """Return the command line that runs a shell line in the container of a process 1."""
    return ["nsenter", "--target", str(pid), "--all", "--", "/bin/sh", "-c", f"cd && {command}"]


def _describe(containers: Sequence[Container], folder: Path, medium: Path | None) -> None:
    """Write the files that the script reads."""
    networks = sorted({card.network for container in containers for card in container.cards})
    (folder / "networks").write_text("".join(f"{name}\n" for name in networks))
    disks = {container.name: str(container.disk).replace(",", ",,") for container in containers}
    (folder / "nodes").write_text("".join(f"{name} {disk}\n" for name, disk in disks.items()))
    cards = [
        f"{container.name} {card.name} {card.network} {card.address or ''}".rstrip()
        for container in containers
        for card in container.cards
    ]
    (folder / "cards").write_text("".join(f"{line}\n" for line in cards))
    if medium is not None:
        (folder / "medium").symlink_to(medium)


def _spawn(folder: Path, run_id: str, log: Path) -> int:
    """Start the script in its namespaces; they end when we do, even by SIGKILL."""
    argv = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
    argv += ["--mount-proc", "/bin/sh", str(_SCRIPT), str(folder), run_id]
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        str(find("setpriv")),
        argv,
        {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,  # a terminal's Ctrl-C is for labctl, which shuts them down
    )


def _wait_started(child: int, run_id: str, names: Sequence[str], log: Path) -> dict[str, int]:
    """Wait until every container's systemd has reached its target; return the numbers of their processes 1."""
    ready: dict[str, int] = {}

    def all_ready() -> bool:
        for pid in processes.every():
            mark = next(
                (word for word in processes.arguments(pid) if word.startswith(f"labctl.container={run_id}/")), ""
            )
            name = mark.rpartition("/")[2]
            if name and name not in ready and processes.is_init(pid) and _booted(pid):
                ready[name] = pid
        if os.waitpid(child, os.WNOHANG)[0]:
            raise ProcessError("the containers ended while they started", details=_said(log))
        return len(ready) == len(names)

    if not waiting.until(all_ready, seconds=_START):
        late = ", ".join(name for name in names if name not in ready)
        raise DeadlineError(f"containers did not start within {_START:.0f} s: {late}", details=_said(log))
    return ready


def _booted(pid: int) -> bool:
    with suppress(ProcessError):
        run(enter(pid, "systemctl is-active --quiet basic.target"), timeout=20)
        return True
    return False


def _wait_ended(child: int, log: Path) -> None:
    def ended() -> bool:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid and status:
            raise ProcessError("the containers' disks could not be written to their end", details=_said(log))
        return bool(pid)

    if not waiting.until(ended, seconds=_STOP):
        raise DeadlineError(f"the containers did not end within {_STOP:.0f} s", details=_said(log))


def _clear_groups() -> None:
    """Remove the control groups of containers that have ended, ours and those of a labctl that was killed."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    for folder in (Path(fields[1]) for fields in mounts if fields[2] == "cgroup2"):
        for group in folder.glob("labctl-*"):
            for path in (*sorted(group.rglob("*/"), reverse=True), group):
                with suppress(OSError):  # it is in use, or no group
                    path.rmdir()


def _said(log: Path) -> str:
    with suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-12:])
    return ""
