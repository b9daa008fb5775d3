"""Commands that die: at every moment at which the host or the state folder is another than at the last.

A process that is killed runs no `except` and no `finally`. Here the command's threads do run on, but nothing that they
do counts: every further call to the host ends as the first did, and the state folder is put back as it was.
"""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.unit.fake_site import World

_LOOKS = ("list ", "find ", "read ", "download ", "ask ", "log in ")


class Killed(BaseException):
    """The process is dead; nothing that catches errors catches this."""


class Death:
    """Ends a world's command at a moment, for `World.trace`.

    Args:
        at: how many moments it lives through.

    Attributes:
        moment: what was about to be done or done when it died; empty when it did not.
    """

    def __init__(self, home: Path, at: int) -> None:
        self.moment = ""
        self._home, self._left = home, at
        self._changes = 0
        self._last: object = None
        self._kept: dict[Path, bytes | None] = {}
        self._lock = threading.Lock()

    def __call__(self, moment: str) -> None:
        with self._lock:
            if self.moment:
                raise Killed(self.moment)
            when, _, doing = moment.partition(": ")
            if when == "after" and not doing.startswith(_LOOKS):
                self._changes += 1
            now = self._changes, _look(self._home)
            if now == self._last:
                return
            self._last = now
            if self._left:
                self._left -= 1
                return
            self._kept = {path: path.read_bytes() if path.is_file() else None for path in _paths(self._home)}
            self.moment = moment
            raise Killed(moment)

    def bury(self) -> None:
        """Put the state folder back as it was at the death."""
        shutil.rmtree(self._home)
        self._home.mkdir(parents=True)
        for path, content in sorted(self._kept.items()):
            if content is None:
                path.mkdir(parents=True, exist_ok=True)
            else:
                path.write_bytes(content)


def deaths(
    world: World, command: Callable[[World], object], folder: Path, *, step: int = 1
) -> Iterator[tuple[str, World]]:
    """Have a command die at each of its moments in turn; yield the moment and the world that it leaves.

    Args:
        world: what stands before the command; it stays as it is.
        folder: for the worlds' state.
        step: every how many moments it dies.
    """
    for number in itertools.count(step=step):
        dying = world.twin(folder / str(number))
        dying.trace = death = Death(dying.home.root, number)
        try:
            command(dying)
        except Killed:
            death.bury()
        dying.trace = lambda _: None
        if not death.moment:
            return
        yield f"{number}, {death.moment}", dying


def _paths(home: Path) -> list[Path]:
    return sorted(home.rglob("*"))


def _look(home: Path) -> object:
    """Return what tells one state of the folder from another; files are replaced or grow, locks come and go."""
    files = [path for path in home.rglob("*") if path.parent.name != "locks"]
    return [(path, stat.st_ino, stat.st_size, stat.st_mtime_ns) for path in files if (stat := _stat(path))]


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat() if path.is_file() else None
    except FileNotFoundError:
        return None
