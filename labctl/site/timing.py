"""Where the seconds of a command go: phases of nodes and calls of libvirt, as a sum or as a trace."""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.hypervisor.translate import LOG
from labctl.site.progress import Phase, Progress
from labctl.site.work import Work


@dataclass(frozen=True, kw_only=True)
class Span:
    """Something that took time.

    Attributes:
        group, row: where a viewer shows it: a team and its node, or libvirt and one of our threads.
        began, seconds: since the command began, and how long it took.
    """

    group: str
    row: str
    name: str
    began: float
    seconds: float


class Timing(Progress):
    """A progress that passes on what it is told and notes when; a context manager that listens to libvirt's calls."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._zero = time.monotonic()
        self._lock = threading.Lock()
        self._phases: dict[tuple[str, str], list[tuple[float, Phase]]] = {}
        self._calls: list[Span] = []
        self._handler = _Handler(self._called)

    def __enter__(self) -> Timing:
        LOG.addHandler(self._handler)
        self._level, self._propagates = LOG.level, LOG.propagate
        LOG.propagate = LOG.isEnabledFor(logging.INFO)  # what nobody asked to see stays unseen
        LOG.setLevel(logging.INFO)
        return self

    def __exit__(self, *_: object) -> None:
        LOG.removeHandler(self._handler)
        LOG.setLevel(self._level)
        LOG.propagate = self._propagates

    def node(self, team: str, node: str, phase: Phase, detail: str = "") -> None:
        """Note when a node came to a phase."""
        with self._lock:
            phases = self._phases.setdefault((team, node), [])
            if not phases or phases[-1][1] is not phase:
                phases.append((time.monotonic() - self._zero, phase))
        self._shown.node(team, node, phase, detail)

    def say(self, text: str) -> None:
        """Pass it on."""
        self._shown.say(text)

    def spans(self) -> list[Span]:
        """Return all that was noted by now, by when it began. The last phase of a node takes no time."""
        with self._lock:
            found = [
                Span(group=team, row=node, name=phase, began=began, seconds=ended - began)
                for (team, node), phases in self._phases.items()
                for (began, phase), (ended, _) in zip(phases, [*phases[1:], (phases[-1][0], None)], strict=True)
            ]
            return sorted([*found, *self._calls], key=lambda span: span.began)

    def by_node(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return team to node to the seconds that it spent in each phase, and those to its last phase as `total`."""
        table: dict[str, dict[str, dict[str, float]]] = {}
        for span in self.spans():
            if (span.group, span.row) in self._phases:
                row = table.setdefault(span.group, {}).setdefault(span.row, {})
                if span.seconds:
                    row[span.name] = round(row.get(span.name, 0.0) + span.seconds, 2)
                row["total"] = round(span.began, 2)
        return table

    def write(self, file: Path) -> None:
        """Write it in Chrome's trace event format, which ui.perfetto.dev and chrome://tracing show."""
        groups = {name: number for number, name in enumerate(dict.fromkeys(span.group for span in self.spans()), 1)}
        rows = {
            key: number for number, key in enumerate(dict.fromkeys((each.group, each.row) for each in self.spans()), 1)
        }
        names: list[dict[str, Any]] = [
            {"ph": "M", "name": "process_name", "pid": number, "args": {"name": name}}
            for name, number in groups.items()
        ]
        names += [
            {"ph": "M", "name": "thread_name", "pid": groups[group], "tid": number, "args": {"name": row}}
            for (group, row), number in rows.items()
        ]
        events = [
            {
                "ph": "X",
                "name": span.name,
                "pid": groups[span.group],
                "tid": rows[span.group, span.row],
                "ts": round(span.began * 1e6),
                "dur": round(span.seconds * 1e6),
            }
            for span in self.spans()
        ]
        file.write_text(json.dumps({"traceEvents": [*names, *events], "displayTimeUnit": "ms"}))

    def _called(self, doing: str, seconds: float) -> None:
        began = time.monotonic() - self._zero - seconds
        thread = threading.current_thread().name
        with self._lock:
            self._calls.append(Span(group="libvirt", row=thread, name=doing, began=began, seconds=seconds))


def of(work: Work) -> Timing:
    """Return what is noted about a command's work."""
    assert isinstance(work.progress, Timing)
    return work.progress


class _Handler(logging.Handler):
    """Passes on the calls of libvirt."""

    def __init__(self, called: Any) -> None:
        super().__init__(logging.INFO)
        self._called = called

    def emit(self, record: logging.LogRecord) -> None:
        doing, milliseconds = record.args if isinstance(record.args, tuple) else ("", 0.0)
        self._called(str(doing), float(str(milliseconds)) / 1000)
