"""Starts, stops and describes private hosts: libvirt in namespaces of its own, beside whatever the machine runs."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from labctl.errors import DeadlineError, InputError, ProcessError, RefusedError
from labctl.host import guests, launch, processes, shares
from labctl.host.answer import answers
from labctl.host.lock import locked
from labctl.host.namespace import NetworkNamespace
from labctl.host.processes import ProcessId
from labctl.modes import private

POOL = Path("/var/lib/libvirt/images")
"""Where a private host's own libvirt sees the folder for volumes."""

_HANGS = 20.0  # seconds that a libvirtd which was started before may take to answer

_LINKS = Path("/run/labctl")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)


class InUseError(RefusedError):
    """Guests run on a private host that is to be stopped."""


@dataclass(frozen=True, kw_only=True)
class PrivateHost:
    """A private host that runs.

    Attributes:
        folder: its state on this machine: configuration, logs, disks.
        uri: how libvirt clients reach it.
        namespace: the network namespace from which its guests are dialled.
        pool: folder for volumes as its libvirt sees it (a pool's target path).
    """

    name: str
    folder: Path
    uri: str
    namespace: NetworkNamespace
    pool: Path = POOL

    def share(self, lab: str, domains: Collection[str]) -> None:
        """Give the running guests of a lab the share of one lab, however many they are.

        Args:
            lab: how the names of its objects begin.
        """
        shares.settle(self.namespace.process, _digest(self.folder), lab, domains)

    def unshare(self, lab: str) -> None:
        """Remove what `share` made for a lab whose guests are gone."""
        shares.remove(shares.groups(self.namespace.process, _digest(self.folder)).get(lab, ()))


class State(StrEnum):
    """What a private host does."""

    ABSENT = "absent"
    DOWN = "down"
    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"


@dataclass(frozen=True, kw_only=True)
class HostStatus:
    """What is known of a private host.

    Attributes:
        state: ABSENT has no state folder; STARTING runs but its libvirt does not answer.
        process: its process 1, as this machine numbers it; None when it does not run.
        guests: names of the domains that run, sorted.
        labs: whether definitions of domains are kept in its state folder.
        closed: its folders that QEMU cannot enter.
    """

    name: str
    folder: Path
    uri: str
    state: State
    process: ProcessId | None
    guests: tuple[str, ...]
    labs: bool
    closed: tuple[Path, ...] = ()

    @property
    def host(self) -> PrivateHost | None:
        """The private host, when it runs."""
        if self.process is None:
            return None
        return _host(self.name, self.folder, self.process)


def up(name: str, root: Path, *, timeout: float = 90.0) -> PrivateHost:
    """Start the private host, or find it running; return when its libvirt answers.

    Two runs, at the same time or one after the other, give one host. A run that was killed is completed by the next.

    Args:
        name: letters, digits and hyphens.
        root: folder of all private hosts; this one's state is in `root/name`.
        timeout: seconds until libvirt must answer.

    Raises:
        InputError: not a name.
        RefusedError: we are not root.
        ProcessError: it cannot be started; details hold what its start said.
        DeadlineError: its libvirt does not answer in time.
    """
    folder = _folder(name, root)
    with locked(folder, timeout=timeout, create=True) as lock:
        init = launch.find(folder)
        if init is not None and launch.stopping(folder):
            _end(init, timeout=timeout)
            init = None
        if init is None:
            launch.prepare(folder)
            init = launch.start(folder, lock)
        else:
            launch.make_folders(folder)
            timeout = min(timeout, _HANGS)
        _link(folder)
        launch.wait(folder, init, _socket(folder), timeout=timeout)
    return _host(name, folder, init)


def down(name: str, root: Path, *, force: bool = False, purge: bool = False, timeout: float = 60.0) -> None:
    """Stop the private host, so that nothing of it runs any more.

    Definitions and disks stay in the state folder: the next `up` brings the labs back, switched off.

    Args:
        force: also when guests run; they lose their power, but what they wrote to their disks is kept.
        purge: remove the state folder too, with every lab in it.
        timeout: seconds until its processes must be gone.

    Raises:
        InUseError: guests run and `force` is not given.
        RefusedError: we are not root.
        DeadlineError: a process does not end.
    """
    folder = _folder(name, root)
    if not folder.exists():
        _unlink(folder)
        return
    with locked(folder, timeout=timeout):
        init = launch.find(folder)
        if init is not None:
            running = sorted(guests.of(init))
            if running and not force:
                raise InUseError(
                    f"Private host {name} runs {len(running)} guests",
                    details=", ".join(running),
                    remedy="Stop their labs first, or add --force to cut their power.",
                )
            launch.mark_stopping(folder)
            made = shares.groups(init, _digest(folder))
            _end(init, timeout=timeout)
            shares.remove(group for labs in made.values() for group in labs)
        launch.clear(folder)
        _unlink(folder)
        if purge:
            _purge(folder)


def status(name: str, root: Path) -> HostStatus:
    """Return what the private host does now, without changing anything."""
    folder = _folder(name, root)
    init = launch.find(folder)
    return HostStatus(
        name=name,
        folder=folder,
        uri=_uri(folder),
        state=_state(folder, init),
        process=init,
        guests=tuple(sorted(guests.of(init))) if init else (),
        labs=any((folder / "etc/qemu").glob("*.xml")),
        closed=launch.closed(folder),
    )


def names(root: Path) -> list[str]:
    """Return the names of the private hosts that have a state folder below `root`."""
    return sorted(path.parent.name for path in root.glob("*/init.sh")) if root.is_dir() else []


def _state(folder: Path, init: ProcessId | None) -> State:
    if init is None:
        return State.DOWN if folder.exists() else State.ABSENT
    if launch.stopping(folder):
        return State.STOPPING
    return State.UP if answers(_socket(folder), timeout=5) else State.STARTING


def _end(init: ProcessId, *, timeout: float) -> None:
    """End process 1, orderly if it can; the kernel ends the rest of its namespace with it."""
    if processes.end(init, number=signal.SIGTERM, timeout=timeout / 2):
        return
    if not processes.end(init, number=signal.SIGKILL, timeout=timeout / 2):
        raise DeadlineError(
            f"Process {init.pid} of the private host does not end",
            details=f"It was killed {timeout / 2:.0f} s ago; a process in it waits for the kernel, perhaps for a disk.",
            remedy="Look for state D in: ps -eo pid,stat,wchan,args",
        )


def _folder(name: str, root: Path) -> Path:
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is not a valid name for a private host",
            remedy="Use up to 40 letters, digits and hyphens, as in dev-2.",
        )
    if os.geteuid() != 0:
        raise RefusedError(
            "A private host needs root: it makes namespaces, bridges and firewall rules", remedy="Run labctl with sudo."
        )
    return root.resolve() / name


def _host(name: str, folder: Path, init: ProcessId) -> PrivateHost:
    return PrivateHost(name=name, folder=folder, uri=_uri(folder), namespace=NetworkNamespace(process=init))


def _uri(folder: Path) -> str:
    return f"qemu+unix:///system?socket={_socket(folder)}"


def _socket(folder: Path) -> Path:
    """Return a short path to the socket, because the kernel limits a socket's path to 107 bytes."""
    return _LINKS / _digest(folder) / "libvirt-sock"


def _digest(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]


def _link(folder: Path) -> None:
    link, target = _LINKS / _digest(folder), folder / "run"
    new = link.with_name(f".{link.name}.{os.getpid()}")
    for _ in range(100):
        if link.is_symlink() and link.readlink() == target:
            return
        # Another private host's end removes the folder of links when its own was the last one.
        with contextlib.suppress(FileNotFoundError):
            private(_LINKS)
            new.unlink(missing_ok=True)
            new.symlink_to(target)
            new.replace(link)
    raise ProcessError(f"{link} cannot be made", remedy=f"See that {_LINKS.parent} is there and writable.")


def _unlink(folder: Path) -> None:
    (_LINKS / _digest(folder)).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # another private host's link is in it, or it never was
        _LINKS.rmdir()


def _purge(folder: Path) -> None:
    """Remove what labctl made in the state folder; refuse when something else is in it."""
    for path in _made(folder):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError as exc:
        raise RefusedError(
            f"{folder} holds files that are not labctl's",
            details=", ".join(sorted(path.name for path in folder.iterdir())),
            remedy="Move them away and purge again.",
        ) from exc
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


def _made(folder: Path) -> Iterator[Path]:
    for name in (*launch.FOLDERS, *launch.FILES, "lock"):
        yield folder / name
