"""Tells what happens in a classroom, as it happens: the events of rounds in all labs, and hands.

Nobody waits for a reader: files are read that are only added to, without a lock. How far each was read is a *place*;
whoever keeps it goes on there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import DamagedError, InputError, LabctlError
from labctl.lab import events, hands, passes
from labctl.lab.hands import Hand
from labctl.rounds import events as kinds
from labctl.rounds.events import Event, Opened
from labctl.state import Home


@dataclass(frozen=True)
class Mark:
    """How far a file was read.

    Attributes:
        offset: bytes.
        head: what its first line was, as a digest: a lab that was made anew has another file.
    """

    offset: int
    head: str


@dataclass(frozen=True, kw_only=True)
class Happened:
    """Something that happened.

    Attributes:
        id: the same for the same event, whoever asks; it tells nothing of what is sealed in it.
        team: whom it is about: who plays, or whose hand it is.
        lab: the team in whose lab it happened; empty for a hand.
        round: its ID; empty outside of rounds.
        event: the event itself.
        file: where it stands, below the state folder.
        mark: how far that file was read with it.
    """

    id: str
    team: str
    lab: str
    round: str
    event: Event | Hand
    file: str
    mark: Mark


class Feed:
    """Reads what happens.

    Args:
        place: how far each file was read; a file that it does not name is read from its begin.
        failed: told of a file that is damaged, once; the others are read all the same.
    """

    def __init__(self, home: Home, place: Mapping[str, Mark], *, failed: Callable[[LabctlError], None]) -> None:
        self._home = home
        self._marks = dict(place)
        self._failed = failed
        self._states: dict[str, tuple[int, int, int]] = {}
        self._bad: set[str] = set()

    def news(self) -> list[Happened]:
        """Return what happened since the last call, or since the place; the oldest first."""
        found: list[Happened] = []
        for path in [*sorted(self._home.root.glob(f"labs/*/{events.FILE}")), self._home.root / "door" / hands.FILE]:
            name = str(path.relative_to(self._home.root))
            try:
                stat = path.stat()
                state = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
                if state != self._states.get(name):
                    found += self._new(path, name)
                    self._states[name] = state
                    self._bad.discard(name)
            except FileNotFoundError:  # its lab was destroyed
                self._states.pop(name, None)
            except (InputError, DamagedError) as exc:
                if name not in self._bad:
                    self._bad.add(name)
                    self._failed(exc)
        return sorted(found, key=lambda each: each.event.at)

    def _new(self, path: Path, name: str) -> Iterator[Happened]:
        lines = _lines(path)
        head = hashlib.sha256(lines[0] if lines else b"").hexdigest()[:16]
        known = self._marks.get(name)
        begin = known.offset if known is not None and known.head == head else 0
        offset, opened = 0, None
        lab = path.parent.name if path.name == events.FILE else ""
        read = b"".join(lines).decode(errors="replace")
        happened: list[Event | Hand] = [*(kinds.read(read, str(path)) if lab else hands.read(read, str(path)))]
        for line, event in zip(lines, happened, strict=True):
            offset += len(line)
            opened = event if isinstance(event, Opened) else opened
            if offset > begin:
                self._marks[name] = Mark(offset, head)
                yield Happened(
                    id=passes.name_of(self._home, b"%s\n%d\n%s" % (name.encode(), offset, line)),
                    team=event.team if isinstance(event, Hand) else opened.player if opened else lab,
                    lab=lab,
                    round=opened.round if opened else "",
                    event=event,
                    file=name,
                    mark=self._marks[name],
                )


def _lines(path: Path) -> list[bytes]:
    """Return a file's lines; one without an end is still being written."""
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
