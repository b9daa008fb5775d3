"""Shares the processors by lab: the guests of each lab on a private host have a control group of their own.

Without it the kernel shares by guest, or by thread: a team whose eight nodes work hard has eight times as much as a
team that logs in to one node. libvirt's own groups are by guest too, and cost time at each start (see `daemons`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from labctl.host import guests
from labctl.host.processes import ProcessId

_PROC = Path("/proc")
SCOPE = "labctl-host-"
"""How the name of the scope begins in which systemd has put a private host."""

_WEIGHTS = {"cpu.shares": 1024, "cpu.weight": 100}
"""What the kernel gives one program, by the file that the two versions of control groups have.

A lab gets as much for each of its nodes, so that it has beside other programs what its nodes had before.
"""


def settle(init: ProcessId, key: str, lab: str, domains: Collection[str]) -> None:
    """Put the guests of a lab into the lab's group; where the machine allows no groups, nothing happens.

    Args:
        init: process 1 of the private host.
        key: tells the host from others of this machine.
        lab: how the names of the lab's objects begin.
        domains: all of the lab; those that run are put into the group.
    """
    for folder in _folders(init, key):
        group = folder / f"{_prefix(key)}{lab}"
        with contextlib.suppress(OSError):  # not ours to make, as in a container
            _open(folder, key)
            group.mkdir(exist_ok=True)
            for name, one in _WEIGHTS.items():
                if (group / name).exists():
                    (group / name).write_text(str(one * len(domains)))
        for name, pid in guests.of(init).items():
            if name in domains:
                with contextlib.suppress(OSError):  # it has ended, or there is no group
                    (group / "cgroup.procs").write_text(str(pid))


def groups(init: ProcessId, key: str) -> dict[str, list[Path]]:
    """Return the groups of a private host's labs, by lab."""
    found: dict[str, list[Path]] = {}
    for folder in _folders(init, key):
        for group in folder.glob(f"{_prefix(key)}*"):
            found.setdefault(group.name.removeprefix(_prefix(key)), []).append(group)
    return found


def remove(made: Iterable[Path]) -> None:
    """Remove groups whose guests are gone; the kernel refuses to remove one with guests."""
    for group in made:
        with contextlib.suppress(OSError):
            group.rmdir()


def _prefix(key: str) -> str:
    return f"labctl-{key}-"


def _rest(key: str) -> str:
    """Return the name of the group with a private host's own processes."""
    return f"labctl-{key}"


def _folders(init: ProcessId, key: str) -> Iterator[Path]:
    """Yield where groups that share the processors are made: beside the private host's own processes."""
    for controllers, folder in _hierarchies():
        own = folder / _path(init, controllers).lstrip("/")
        if controllers:
            yield own
            continue
        place = own.parent if own.name == _rest(key) else own
        if _shares(place) and (_topmost(place) or place.name.startswith(SCOPE)):
            yield place


def _hierarchies() -> Iterator[tuple[str, Path]]:
    """Yield the mounts of control groups that may share processors: "cpu" (version 1) or "" (version 2), the folder."""
    for line in (_PROC / "self/mounts").read_text().splitlines():
        _, folder, kind, options, *_ = line.split()
        if kind == "cgroup" and "cpu" in options.split(","):
            yield "cpu", Path(folder)
        elif kind == "cgroup2":
            yield "", Path(folder)


def _path(init: ProcessId, controller: str) -> str:
    """Return the group that a process is in."""
    with contextlib.suppress(OSError):  # it is gone
        for line in (_PROC / str(init.pid) / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                return path
    return "/"


def _shares(folder: Path) -> bool:
    """Whether groups of version 2 in this folder can share processors."""
    try:
        return "cpu" in (folder / "cgroup.controllers").read_text().split()
    except OSError:
        return False


def _topmost(folder: Path) -> bool:
    return not (folder / "cgroup.type").exists()


def _open(folder: Path, key: str) -> None:
    """Have groups in this folder share processors; those of version 1 do.

    In version 2, a group in which groups share has no processes itself, but for the topmost one. The private host's own
    move into a group beside the labs'. In its scope of systemd's that is ours to do, because the scope is delegated.
    """
    if not _shares(folder):
        return
    if not _topmost(folder):
        rest = folder / _rest(key)
        rest.mkdir(exist_ok=True)
        for pid in (folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                (rest / "cgroup.procs").write_text(pid)
    (folder / "cgroup.subtree_control").write_text("+cpu")
