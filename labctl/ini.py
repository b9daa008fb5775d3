"""Edits INI files as people do: what is not set stays as it is, comments and order too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from labctl import quoting
from labctl.errors import InputError

DIALECTS = {"oslo": quoting.oslo, "plain": quoting.ini}
"""How values are written, by who reads the file: OpenStack's services, or any other program."""


def set_values(text: str, values: Mapping[str, Mapping[str, object]], dialect: str = "oslo") -> str:
    """Set options in the text of an INI file and return the new text.

    An option that is there is replaced where it stands; a new one goes right below its commented-out self, or to the
    end of its section's active options, or into a new section at the end of the file.

    Args:
        text: as oslo.config reads it: `name = value`, lines that begin with a blank continue a value.
        values: section to option to value; None removes the option.
        dialect: who reads the file, one of `DIALECTS`.

    Raises:
        InputError: a value cannot be written to an INI file.
    """
    lines = _lines(text)
    for section, options in values.items():
        for option, value in reversed(list(options.items())):  # a new one goes above those that are there
            _set(lines, section, option, None if value is None else DIALECTS[dialect](_plain(value)))
    return "\n".join(lines) + "\n" if lines else ""


def respell(text: str, section: str, option: str, find: str, put: str) -> str:
    """Change the value of an option that is there; its line stays where it is.

    Args:
        find: a regular expression within the value, of which there must be one match at least; the first is replaced.
        put: what stands in its place, groups as \\1.

    Raises:
        InputError: there is no such option, or its value is another.
    """
    lines = _lines(text)
    number = _demand(lines, section, option)
    lines[number] = _respelled(lines[number], find, put)
    return "\n".join(lines) + "\n"


def double(text: str, section: str, option: str, find: str, put: str) -> str:
    """Add a second line of an option, with its value changed, at the end of its section: the last one counts.

    Raises:
        InputError: there is no such option, or its value is another.
    """
    lines = _lines(text)
    again = _respelled(lines[_demand(lines, section, option)], find, put)
    _, end = _bounds(lines, section)
    while not lines[end - 1].strip():
        end -= 1
    lines.insert(end, again)
    return "\n".join(lines) + "\n"


def rename(text: str, section: str, option: str, name: str) -> str:
    """Give an option another name; its line stays where it is.

    Raises:
        InputError: there is no such option.
    """
    lines = _lines(text)
    number = _demand(lines, section, option)
    lines[number] = f"{quoting.ini(name)}{lines[number].removeprefix(option)}"
    return "\n".join(lines) + "\n"


def raise_above(text: str, section: str, option: str) -> str:
    """Move the line of an option above the head of its section, and so into the section before.

    Raises:
        InputError: there is no such option.
    """
    lines = _lines(text)
    line = lines.pop(_demand(lines, section, option))
    begin, _ = _bounds(lines, section)
    assert begin is not None
    lines.insert(begin - 1, line)
    return "\n".join(lines) + "\n"


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _demand(lines: list[str], section: str, option: str) -> int:
    """Return the number of the line of an option, the last one where there are several."""
    begin, end = _bounds(lines, section)
    name = re.compile(rf"{re.escape(option)}\s*[=:]")
    found = [number for number in range(begin or end, end) if name.match(lines[number])]
    if not found:
        raise InputError(f"there is no option {option} in section {section}")
    return found[-1]


def _respelled(line: str, find: str, put: str) -> str:
    name, sign, value = re.split(r"(\s*[=:]\s*)", line, maxsplit=1)
    after, count = re.subn(find, put, value, count=1)
    if not count or after == value:
        raise InputError(f"the value of {name} is not as expected")
    return f"{name}{sign}{after}"


def _set(lines: list[str], section: str, option: str, value: str | None) -> None:
    """Set one option in the lines of an INI file; the value is quoted."""
    begin, end = _bounds(lines, section)
    written = None if value is None else f"{quoting.ini(option)} = {value}".rstrip()
    if begin is None:
        if written is not None:
            lines += [*([""] if lines and lines[-1] else []), f"[{quoting.ini(section)}]", written]
        return
    name = re.compile(rf"{re.escape(option)}\s*[=:]")
    found = [number for number in range(begin, end) if name.match(lines[number])]
    for number in reversed(found):
        stop = number + 1
        while stop < len(lines) and lines[stop][:1] in (" ", "\t") and lines[stop].strip():
            stop += 1
        del lines[number:stop]
    if written is not None:
        lines.insert(found[0] if found else _place(lines, begin, end, option), written)


def _bounds(lines: list[str], section: str) -> tuple[int | None, int]:
    """Return the numbers of the first line of a section's body and of the line behind it."""
    heads = [number for number, line in enumerate(lines) if re.match(r"\[[^]]+\]", line)]
    for head, after in pairwise([*heads, len(lines)]):
        if lines[head].startswith(f"[{section}]"):
            return head + 1, after
    return None, len(lines)


def _place(lines: list[str], begin: int, end: int, option: str) -> int:
    """Return where a new option goes: below its commented-out self, else at the top of the section."""
    comment = re.compile(rf"#\s*{re.escape(option)}\s*[=:]")
    return next((number + 1 for number in range(begin, end) if comment.match(lines[number])), begin)


def _plain(value: object) -> object:
    """Write truth values as oslo.config does, lists with commas."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value
