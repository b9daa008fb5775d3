"""Makes the state folder of a private host and starts its process 1."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

from labctl import waiting
from labctl.errors import DeadlineError, ProcessError
from labctl.host import daemons, facts, firewall, processes, shares
from labctl.host.answer import answers
from labctl.host.processes import ProcessId
from labctl.modes import shared
from labctl.process import find as find_program

FOLDERS = ("etc", "lib", "cache", "log", "run")
"""Folders of a state folder, bound over those of libvirt."""

FILES = ("init.sh", "firewall.nft")
"""Files of a state folder beside its lock."""

_MODES = dict.fromkeys(FOLDERS, 0o755) | {"lib/images": 0o711}
_LOG = "log/start.log"
_MARK = "LABCTL_HOST"
"""Environment variable by which process 1 of a state folder is known."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PROGRAMS = ("libvirtd", "virtlogd", "unshare", "mount", "tini", "nft", "ip", "iptables")

_CATCHABLE = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}

# The background job is the first process of the new namespaces: its number 1. It is written down by the shell itself,
# so that a labctl that is killed right now leaves a host that the next one finds.
_LAUNCHER = 'exec /bin/sh "$LABCTL_HOST/init.sh" mount & echo $! >"$LABCTL_HOST/run/init.pid"'


def find(folder: Path) -> ProcessId | None:
    """Return process 1 of the state folder's private host; None when it does not run.

    It is known by its environment, not by a number that a reboot may have given to another: the number in run/init.pid
    is only where to look first.
    """
    try:
        first = int((folder / "run/init.pid").read_text())
    except (OSError, ValueError):
        first = 0
    if _is_init_of(first, folder, patience=2.0):
        return ProcessId.of(first)
    return next((ProcessId.of(pid) for pid in processes.every() if _is_init_of(pid, folder)), None)


def prepare(folder: Path) -> None:
    """Make the state folder ready for a start: what the daemons read is written, what a last run left is cleared.

    Raises:
        ProcessError: a program is missing.
    """
    missing = [program for program in _PROGRAMS if find_program(program) is None]
    if missing:
        raise ProcessError(
            f"A private host needs {', '.join(missing)}", remedy="labctl doctor names the packages they come in."
        )
    make_folders(folder)
    clear(folder)
    (folder / _LOG).unlink(missing_ok=True)
    _copy_templates(folder / "etc")
    for name, text in daemons.FILES.items():
        (folder / "etc" / name).write_text(text)
    (folder / "firewall.nft").write_text(firewall.ruleset())
    (folder / "init.sh").write_bytes((Path(__file__).parent / "init.sh").read_bytes())


def make_folders(folder: Path) -> None:
    """Make the folders that libvirt sees, or give those that are there their modes again: QEMU must reach its disks."""
    for name, mode in _MODES.items():
        shared(folder / name, mode)


def closed(folder: Path) -> tuple[Path, ...]:
    """Return the folders that QEMU, which does not run as root, cannot enter."""
    paths = (folder / name for name in _MODES)
    return tuple(path for path in paths if path.is_dir() and not path.stat().st_mode & 0o001)


def clear(folder: Path) -> None:
    """Empty the run folder. No process of the host lives, and libvirt would trust old files there."""
    for path in (folder / "run").glob("*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def start(folder: Path, lock: int) -> ProcessId:
    """Start process 1. It does not depend on us or our terminal.

    Args:
        folder: a prepared state folder.
        lock: descriptor of the lock that we hold; process 1 shares it until its namespaces are made.

    Raises:
        ProcessError: it did not start.
    """
    plain = ["unshare", "--net", "--pid", "--mount", "--ipc", "--uts", "/bin/sh", "-c", _LAUNCHER]
    # A service or a session may end with all its processes: where systemd can be asked, the host gets its own scope.
    # It is delegated: the labs' shares of the processors are made in it (see `shares`).
    unit = f"--unit={shares.SCOPE}{folder.name}-{os.getpid()}"
    scoped = ["systemd-run", "--scope", "--quiet", "--collect", "--property=Delegate=yes", unit, "--", *plain]
    for argv in (scoped, plain) if facts.has_systemd() else (plain,):
        _spawn(argv, folder, lock)
        process = find(folder)
        if process is not None:
            return process
    raise ProcessError("The private host did not start", details=_said(folder), remedy="labctl doctor")


def wait(folder: Path, init: ProcessId, path: Path, *, timeout: float) -> None:
    """Wait until the host's libvirt answers.

    Args:
        init: its process 1, without which waiting is in vain.
        path: libvirt's socket.
        timeout: seconds.

    Raises:
        ProcessError: the host ended.
        DeadlineError: no answer in time.
    """
    deadline = time.monotonic() + timeout

    def answered() -> bool:
        if answers(path, timeout=max(deadline - time.monotonic(), 0.01)):
            return True
        if not init.alive:
            raise ProcessError("The private host ended while it started", details=_said(folder), remedy="labctl doctor")
        return False

    if not waiting.until(answered, seconds=timeout, pause=0.01):
        raise DeadlineError(
            f"The private host's libvirtd does not answer after {timeout:.0f} s",
            details=_said(folder),
            remedy=f"Read {folder}/log/libvirtd.log, or stop it: labctl host down {folder.name} --force",
        )


def mark_stopping(folder: Path) -> None:
    """Mark the host as stopping, for other runs of labctl."""
    (folder / "run/stopping").touch()


def stopping(folder: Path) -> bool:
    """Whether the host is to end."""
    return (folder / "run/stopping").exists()


def _is_init_of(pid: int, folder: Path, *, patience: float = 0.0) -> bool:
    """Whether the process is number 1 of that state folder's private host, and alive.

    Args:
        patience: seconds to wait for a process without any environment: while it becomes another program (shell, then
            tini), the kernel shows none for a moment.
    """

    def known() -> dict[str, str] | None:
        there = ProcessId.of(pid) and processes.is_init(pid)
        return (processes.environment(pid) or None) if there else {}

    return (waiting.until(known, seconds=patience, pause=0.001) or {}).get(_MARK) == str(folder)


def _spawn(argv: list[str], folder: Path, lock: int) -> None:
    """Run the launcher to its end, which comes as soon as process 1 exists."""
    environment = {
        _MARK: str(folder),
        "LABCTL_KVM": "yes" if facts.kvm_usable() else "no",
        "PATH": _PATH,
        "LANG": "C.UTF-8",
    }
    program = find_program(argv[0])
    if program is None:
        return
    pid = os.posix_spawn(
        program,
        argv,
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(folder / _LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_DUP2, lock, 9),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=_CATCHABLE,
    )
    os.waitpid(pid, 0)


def _said(folder: Path) -> str:
    """Return the last lines that the start printed."""
    try:
        return "\n".join((folder / _LOG).read_text(errors="replace").splitlines()[-12:])
    except OSError:
        return ""


def _copy_templates(target: Path) -> None:
    """Copy libvirt's own settings and packet filters; the machine's domains, networks and secrets stay its own."""
    source = Path("/etc/libvirt")
    for path in [*source.glob("*.conf"), *source.glob("nwfilter/*.xml")]:
        copy = target / path.relative_to(source)
        shared(copy.parent)
        shutil.copyfile(path, copy)
