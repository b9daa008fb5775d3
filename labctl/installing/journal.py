"""Remembers what the installer has done and need not do again."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from labctl.modes import private
from labctl.state import parsed


class Journal:
    """Remembers which actions are done that are done only once: a file of lines, each flushed to disk.

    Args:
        path: the file; missing is empty.
        generations: how often each node was made anew: an action on a node, or one whose role stands on other nodes'
            roles, is to be done again when any of them was.
    """

    def __init__(self, path: Path, generations: Mapping[str, int]) -> None:
        self._path = path
        self._generations = generations
        self._lock = threading.Lock()
        self._done: dict[str, dict[str, int]] = {}
        self._unsettled: set[str] = set()
        text = path.read_text(errors="replace") if path.exists() else ""
        for entry in map(_entry, text.splitlines()):
            if entry is not None:
                self._take(*entry)
        self._begin = "" if not text or text.endswith("\n") else "\n"  # a crash may have cut the last line off

    def holds(self, key: str) -> bool:
        """Whether it was done, and no node that it concerned was made anew since."""
        with self._lock:
            then = self._done.get(key)
        return then is not None and all(self._generations.get(node, 0) == number for node, number in then.items())

    def done(self) -> dict[str, tuple[str, ...]]:
        """Return all that holds, with the nodes that it concerned."""
        with self._lock:
            known = {key: tuple(then) for key, then in self._done.items()}
        return {key: nodes for key, nodes in known.items() if self.holds(key)}

    def note(self, key: str, nodes: Iterable[str]) -> None:
        """Write down that it was done."""
        self._write(key, {node: self._generations.get(node, 0) for node in nodes})

    def unsettled(self, place: str) -> bool:
        """Whether a task changed something on a node, and units there may still run with the old state."""
        with self._lock:
            return place in self._unsettled

    def settle(self, place: str, *, settled: bool) -> None:
        """Write down that a task has begun to change something on a node, or has ended."""
        if self.unsettled(place) == settled:
            self._write(f"{_SETTLED if settled else _UNSETTLED}{place}", {})

    def _take(self, key: str, generations: dict[str, int]) -> None:
        if key.startswith(_UNSETTLED):
            self._unsettled.add(key.removeprefix(_UNSETTLED))
        elif key.startswith(_SETTLED):
            self._unsettled.discard(key.removeprefix(_SETTLED))
        else:
            self._done[key] = generations

    def _write(self, key: str, generations: dict[str, int]) -> None:
        with self._lock:
            self._take(key, generations)
            private(self._path.parent)
            with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as file:
                file.write(f"{self._begin}{json.dumps([key, generations])}\n")
                file.flush()
                os.fsync(file.fileno())
            self._begin = ""


# How the journal marks the names of steps; keys of actions begin with a node's name.
_UNSETTLED, _SETTLED = "!", "."


def _entry(line: str) -> tuple[str, dict[str, int]] | None:
    """Read a line of the journal; None for a damaged line, whose action is then done again."""
    try:
        return parsed(line, tuple[str, dict[str, int]])
    except ValueError:
        return None
