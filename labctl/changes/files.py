"""Files: whole ones, values in INI files, single lines, owners and modes."""

from __future__ import annotations

import base64
import difflib
import hashlib
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from labctl import quoting
from labctl.changes.action import Context, lines
from labctl.changes.change import Change, Kind, State
from labctl.errors import InputError, LabctlError
from labctl.guest import File
from labctl.guest.files import timestamp
from labctl.ini import set_values
from labctl.secret import Text, reveal, shown
from labctl.sizes import MIB, size

LARGEST = 4 * MIB
"""Bytes of a file that a record holds; larger ones are not for changing."""


class Files:
    """Files, links and folders by their paths; of a folder only owner, mode and time."""

    name = "file"

    def look(self, context: Context, target: str) -> State:
        """Return how a file is, with every byte of it."""
        found = context.guest.look(target, timeout=60 * context.slow)
        return _ABSENT if found is None else state_of(found, target)

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Write, link, remove, or set owner and mode; a time that is wanted is kept."""
        path = quoting.shell(target)
        folder = quoting.shell(posixpath.dirname(target))
        keep = f"then=$(stat -c @%.9Y {folder}); trap 'touch -d \"$then\" {folder}' EXIT; "
        kind, mtime = wanted["kind"], wanted.get("mtime")
        if kind == "absent":
            context.run(f"{keep}rm -f {path}", timeout=60)
        elif kind == "link":
            link = quoting.shell(base64.b64decode(wanted["content"]).decode(errors="surrogateescape"))
            beside = quoting.shell(f"{target}.{hashlib.sha256(target.encode()).hexdigest()[:6]}")
            touch = f"touch -h -d {timestamp(mtime)} {beside}; " if mtime else ""
            context.run(f"{keep}set -e; ln -s {link} {beside}; {touch}mv -fT {beside} {path}", timeout=60)
        elif kind == "file" and (now["kind"] != "file" or now["content"] != wanted["content"] or now["mtime"] != mtime):
            content = base64.b64decode(wanted["content"])
            context.guest.put(
                content,
                target,
                mode=wanted["mode"],
                owner=wanted["owner"],
                mtime=mtime,
                timeout=120 * context.slow,
            )
        elif (now["mode"], now["owner"]) != (wanted["mode"], wanted["owner"]):
            context.run(
                f"chown {quoting.shell(wanted['owner'])} {path} && chmod {wanted['mode']:04o} {path}", timeout=60
            )

    def same(self, one: State, other: State) -> bool:
        """Whether content, owner and mode are the same; when it was written says nothing to its readers."""
        if {one["kind"], other["kind"]} == {"link"}:
            return bool(one["content"] == other["content"])
        return {**one, "mtime": 0} == {**other, "mtime": 0}

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return a unified diff, and what else differs."""
        differences = [
            f"{key}: {_said(key, now.get(key))} -> {_said(key, wanted.get(key))}"
            for key in ("kind", "mode", "owner")
            if now.get(key) != wanted.get(key)
        ]
        diff = difflib.unified_diff(_lines(now), _lines(wanted), target, target, lineterm="", n=1)
        return "\n".join([*differences, *diff])


FILES: Kind = Files()


def state_of(file: File, path: str) -> State:
    """Return a file's state.

    Raises:
        LabctlError: it is too large for a record.
    """
    if len(file.content) > LARGEST:
        raise LabctlError(f"{path} is larger than {size(LARGEST)}, so it is not changed")
    content = base64.b64encode(file.content).decode()
    return {"kind": file.kind, "mode": file.mode, "owner": file.owner, "mtime": file.mtime, "content": content}


def text_of(state: State) -> str:
    """Return a file's text, bytes that are no UTF-8 kept; empty for what is no file."""
    return base64.b64decode(state["content"]).decode(errors="surrogateescape") if state["kind"] == "file" else ""


class FileChange(Change):
    """A change of one file."""

    kind: ClassVar[Kind] = FILES
    path: str

    @property
    def target(self) -> str:
        """The path."""
        return self.path


@dataclass(frozen=True, kw_only=True)
class PutFile(FileChange):
    """Writes a whole file."""

    path: str
    content: Text
    owner: str = "root:root"
    mode: int = 0o644

    def judge(self, now: State) -> State:
        """Return the file as it is to be."""
        return whole(reveal(self.content), mode=self.mode, owner=self.owner)

    def describe(self) -> str:
        """Say where, and the content."""
        return f"write {self.path} ({self.owner}, {self.mode:o}){lines(shown(self.content))}"


@dataclass(frozen=True, kw_only=True)
class Ini(FileChange):
    """Sets values in an INI file; what else stands in it stays, comments too.

    Attributes:
        values: section to option to value; a value of None removes the option.
        dialect: who reads the file, one of `labctl.ini.DIALECTS`.
        owner, mode: of the file where it does not exist yet.
    """

    path: str
    values: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    dialect: str = "oslo"
    owner: str = "root:root"
    mode: int = 0o644

    def judge(self, now: State) -> State:
        """Return the file with the values."""
        values = reveal(self.values)
        return edited(now, lambda text: set_values(text, values, self.dialect), mode=self.mode, owner=self.owner)

    def describe(self) -> str:
        """Say the sections and their values."""
        said = [f"set in {self.path}"]
        for section, options in shown(self.values).items():
            said.append(f"    [{section}]")
            said += [f"    {name} = {value}" for name, value in options.items() if value is not None]
        return "\n".join(said)


@dataclass(frozen=True, kw_only=True)
class Line(FileChange):
    """Replaces lines of a file, or adds one.

    Attributes:
        match: a regular expression for whole lines.
        line: what stands in their place, groups of `match` as \\1; None removes them.
        add: what to do where no line matches: put `line` at the end; else that is an error.
    """

    path: str
    match: str
    line: str | None
    add: bool = False

    def judge(self, now: State) -> State:
        """Return the file with the line.

        Raises:
            InputError: there is no such line, or no such file.
        """
        return edited(now, self._edit)

    def _edit(self, text: str) -> str:
        kept, found = [], False
        for line in text.splitlines():
            if matched := re.fullmatch(self.match, line):
                found = True
                if self.line is not None:
                    kept.append(matched.expand(self.line))
            else:
                kept.append(line)
        if not found and self.add and self.line is not None:
            kept.append(self.line)
        elif not found and self.line is not None and not self.add:
            raise InputError(f"no line of {self.path} matches {self.match}")
        return "\n".join(kept) + "\n" if kept else ""

    def describe(self) -> str:
        """Say which lines."""
        return f"{'remove' if self.line is None else 'change'} lines of {self.path}: {self.match} -> {self.line}"


@dataclass(frozen=True, kw_only=True)
class Permissions(FileChange):
    """Sets owner and mode of a file or folder.

    Attributes:
        owner: `user:group`; None keeps it.
        mode: permissions; None keeps them.
    """

    path: str
    owner: str | None = None
    mode: int | None = None

    def judge(self, now: State) -> State:
        """Return it with owner and mode.

        Raises:
            InputError: there is nothing.
        """
        if now["kind"] == "absent":
            raise InputError(f"there is no {self.path}")
        owner, mode = self.owner or now["owner"], now["mode"] if self.mode is None else self.mode
        return {**now, "owner": owner, "mode": mode}

    def describe(self) -> str:
        """Say which."""
        return f"set owner {self.owner or 'as it is'} and mode {self.mode or 0:o} of {self.path}"


@dataclass(frozen=True, kw_only=True)
class Absent(FileChange):
    """Removes a file."""

    path: str

    def judge(self, now: State) -> State:
        """Return nothing.

        Raises:
            InputError: it is a folder.
        """
        if now["kind"] in ("folder", "other"):
            raise InputError(f"{self.path} is no file")
        return _ABSENT

    def describe(self) -> str:
        """Say which."""
        return f"remove {self.path}"


_ABSENT: State = {"kind": "absent"}


def whole(text: str, *, mode: int = 0o644, owner: str = "root:root", mtime: int | None = None) -> State:
    """Return the state of a file of that text; a time of None is when it is written, or that of what it replaces."""
    content = base64.b64encode(text.encode(errors="surrogateescape")).decode()
    return {"kind": "file", "mode": mode, "owner": owner, "mtime": mtime, "content": content}


def edited(now: State, edit: Callable[[str], str], *, mode: int | None = None, owner: str | None = None) -> State:
    """Return a file with its text edited, its owner and mode as they were.

    Raises:
        InputError: there is no such file, and none is to be made.
    """
    if now["kind"] == "file":
        after = edit(text_of(now))
        return now if after == text_of(now) else whole(after, mode=now["mode"], owner=now["owner"])
    if now["kind"] != "absent" or mode is None or owner is None:
        raise InputError("there is no such file to edit")
    return whole(edit(""), mode=mode, owner=owner)


def _said(key: str, value: object) -> str:
    return f"{value:o}" if key == "mode" and isinstance(value, int) else str(value)


def _lines(state: State) -> list[str]:
    return text_of(state).splitlines() if state["kind"] == "file" else []
