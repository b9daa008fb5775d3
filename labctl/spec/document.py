"""Reads a YAML file into plain data and remembers the line of every key, for messages that say where."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from labctl.errors import InputError

LARGEST = 256 * 1024
"""Bytes; a hand-written file of a hundred nodes has a tenth of that."""

DEEPEST = 12
"""Nested lists and mappings; a topology needs five."""

Location = tuple[str | int, ...]
"""Keys and list positions from the top of the file to a value."""

# The parser in C is fast, but reads ahead: it may give up on what the reader below would have said in its own words
# (PyYAML 6.0.4 counts levels itself). The other one reports each value before it reads the next, and has the last word.
_LOADERS = (getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}")
_PLAIN = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a file: where, and what would be right."""

    location: Location
    message: str


@dataclass(frozen=True)
class Document:
    """A YAML file as plain data.

    Attributes:
        source: what to call the file in messages.
        data: mappings, lists and scalars; keys are always text.
        lines: line number of each value, counted from 1; that of its key where it has one.
        problems: what is wrong already, duplicate keys for instance.
    """

    source: str
    data: Any
    lines: dict[Location, int]
    problems: list[Problem] = field(default_factory=list)

    def line(self, location: Location) -> int:
        """Return the line of a value, or of the nearest thing around it when the value is missing."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)


def parse(text: str, source: str) -> Document:
    """Read YAML text: one document, without anchors, aliases and tags.

    Scalars follow YAML 1.2: yes, on and 1:30 are text, not a truth value or a number of minutes.

    Raises:
        InputError: the text is no YAML, is too large, or uses what is not allowed.
    """
    if len(text.encode()) > LARGEST:
        raise InputError(f"{source} is larger than {LARGEST // 1024} KiB", remedy="Give a topology file.")
    fast, patient = _LOADERS
    try:
        try:
            reader = _read(text, source, fast)
        except yaml.YAMLError:
            reader = _read(text, source, patient)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line = mark.line + 1 if mark else 1
        raise InputError(
            f"{source}:{line}: this is not valid YAML",
            details=", ".join(part for part in (exc.context, exc.problem) if part),
            remedy="Check indentation, colons and quotes on this line and the one before.",
        ) from exc
    except yaml.YAMLError as exc:
        raise InputError(f"{source} is not a YAML file", details=str(exc)) from exc
    return Document(source, reader.data, reader.lines, reader.problems)


def read(path: Path) -> str:
    """Return the text of a file.

    Raises:
        InputError: the file is missing, unreadable, too large or not text.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as exc:
        raise InputError(f"{path} cannot be read", details=exc.strerror or str(exc)) from exc
    if len(content) > LARGEST:
        raise InputError(f"{path} is larger than {LARGEST // 1024} KiB", remedy="Give a topology file.")
    try:
        return content.decode()
    except UnicodeDecodeError as exc:
        raise InputError(f"{path} is not UTF-8 text", details=str(exc)) from exc


def _read(text: str, source: str, loader: Any) -> _Reader:
    reader = _Reader(source)
    for event in yaml.parse(text, Loader=loader):
        reader.take(event)
    return reader


class _Reader:
    """Builds data from the parser's events."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.data: Any = None
        self.lines: dict[Location, int] = {}
        self.problems: list[Problem] = []
        self._documents = 0
        self._stack: list[tuple[Any, Location]] = []  # open containers
        self._key: list[str | None] = []  # of each open container, the key that waits for its value

    def take(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self._refuse(line, "a second document begins here", "Keep one document in a file.")
        elif isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._refuse(line, "anchors and aliases (& and *) are not allowed", "Write the value out.")
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._stack.pop()
            self._key.pop()
        elif isinstance(event, yaml.NodeEvent):
            if (tag := getattr(event, "tag", None)) not in (None, "!"):
                raise self._refuse(line, f"the tag {tag} is not allowed", "Write plain text or a number.")
            self._value(event, line)

    def _value(self, event: yaml.NodeEvent, line: int) -> None:
        container, location = self._stack[-1] if self._stack else (None, ())
        if isinstance(container, dict) and self._key[-1] is None:
            self._begin_entry(event, line, container, location)
            return
        value: Any = _scalar(event) if isinstance(event, yaml.ScalarEvent) else [] if _is_list(event) else {}
        if isinstance(container, dict):
            key = self._key[-1]
            assert key is not None
            location = (*location, key)
            container[key] = value
            self._key[-1] = None
        elif isinstance(container, list):
            location = (*location, len(container))
            self.lines[location] = line
            container.append(value)
        else:
            self.data = value
        if isinstance(value, (dict, list)):
            if len(self._stack) >= DEEPEST:
                raise self._refuse(line, f"more than {DEEPEST} levels are nested", "Give a topology file.")
            self._stack.append((value, location))
            self._key.append(None)

    def _begin_entry(self, event: yaml.NodeEvent, line: int, container: dict[str, Any], location: Location) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            raise self._refuse(line, "a key must be text, not a list or a mapping", "Put quotes around the key.")
        key = str(event.value)
        if key in container:
            first = self.lines[*location, key]
            self.problems.append(Problem((*location, key), f"the key is given twice, first on line {first}"))
        self.lines[*location, key] = line
        self._key[-1] = key

    def _refuse(self, line: int, what: str, remedy: str) -> InputError:
        return InputError(f"{self.source}:{line}: {what}", remedy=remedy)


def _is_list(event: yaml.NodeEvent) -> bool:
    return isinstance(event, yaml.SequenceStartEvent)


def _scalar(event: yaml.ScalarEvent) -> str | int | float | bool | None:
    text = str(event.value)
    if event.style not in (None, ""):
        return text
    if text in _PLAIN:
        return _PLAIN[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text
