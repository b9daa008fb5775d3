"""Turns what is wrong in a file into one message that names every line, path, value and what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import ValidationError

from labctl.errors import InputError
from labctl.spec.document import Document, Location, Problem
from labctl.spec.values import shown

_EXPECTED = {
    "bool_parsing": "true or false is expected",
    "bool_type": "true or false is expected",
    "dict_type": "a mapping (key: value) is expected",
    "float_parsing": "a number is expected",
    "float_type": "a number is expected",
    "int_from_float": "a whole number is expected",
    "int_parsing": "a whole number is expected",
    "int_type": "a whole number is expected",
    "list_type": "a list (- item) is expected",
    "model_type": "a mapping (key: value) is expected",
    "string_type": "text is expected",
    "tuple_type": "a list (- item) is expected",
}
MOST = 20
"""Problems of a file that one message lists; a wrong word at its top makes hundreds."""

_BOUNDS = {"greater_than_equal": ("small", "ge"), "less_than_equal": ("large", "le")}
_MOST = {"small": "least", "large": "most"}


def closest(word: str, known: Iterable[str]) -> str:
    """Return '; did you mean "internal"?', or what is known when nothing is close."""
    names = list(known)
    if near := difflib.get_close_matches(word, names, n=1, cutoff=0.6):
        return f'; did you mean "{near[0]}"?'
    return f"; known are {', '.join(names)}" if names else ""


def found(error: ValidationError, keys_at: Callable[[Location], Iterable[str]]) -> list[Problem]:
    """Translate the validation library's findings.

    Args:
        error: what validation raised.
        keys_at: gives the keys that a mapping at a location may have.
    """
    items = error.errors(include_url=False)
    # A list also counts as too short when its items are wrong, which is reported already.
    return [_problem(item, keys_at) for item in items if item["type"] != "too_short" or not item["input"]]


def path(location: Location) -> str:
    """Write a location as people do: nodes.db-node.nics[1].address."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_plain(part)}" for part in location)
    return text.removeprefix(".")


def place(item: Any) -> Location:
    """Return where the validation library found something; it marks a mapping's key that is wrong with "[key]"."""
    location: Location = item["loc"]
    is_key = location[-1:] == ("[key]",) and item["type"] not in ("extra_forbidden", "missing")
    return location[:-1] if is_key else location


def refusal(document: Document, problems: Iterable[Problem], *, what: str, remedy: str) -> InputError:
    """Build the error that reports all problems of a file, in the file's order."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: document.line(problem.location))
    lines = []
    for problem in ordered:
        where = f"{path(problem.location)}: " if problem.location else ""
        lines.append(f"{document.source}:{document.line(problem.location)}: {where}{problem.message}")
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    if len(lines) > MOST:
        lines[MOST:] = [f"and {len(lines) - MOST} more; they are listed when these are corrected"]
    return InputError(f"{document.source} is not a valid {what}: {count}", details="\n".join(lines), remedy=remedy)


def _problem(item: Any, keys_at: Callable[[Location], Iterable[str]]) -> Problem:
    location = place(item)
    kind, value = item["type"], item["input"]
    if kind == "extra_forbidden":
        return Problem(location, f"this key is unknown{closest(str(location[-1]), keys_at(location[:-1]))}")
    if kind == "missing":
        return Problem(location[:-1], f'"{location[-1]}" is missing')
    if kind == "value_error":
        return Problem(location, str(item["ctx"]["error"]))
    if kind == "literal_error":
        options = re.findall("'([^']*)'", item["ctx"]["expected"])
        hint = closest(value, options) if isinstance(value, str) else f"; known are {', '.join(options)}"
        return Problem(location, f"{shown(value)} is not known here{hint}")
    if kind in _BOUNDS:
        word, key = _BOUNDS[kind]
        return Problem(location, f"{shown(value)} is too {word}; at {_MOST[word]} {item['ctx'][key]}")
    if kind in ("too_short", "too_long"):
        limit = (
            f"at least {item['ctx']['min_length']}" if kind == "too_short" else f"at most {item['ctx']['max_length']}"
        )
        return Problem(location, f"{limit} of these can be here, not {len(value)}")
    if kind in _EXPECTED:
        return Problem(location, f"{_EXPECTED[kind]} here, not {_kind(value)}")
    return Problem(location, f"{shown(value)}: {item['msg'][0].lower()}{item['msg'][1:]}")


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else shown(value)


def _plain(part: str) -> str:
    """Show odd keys in quotes, so that a path stays readable."""
    return part if re.fullmatch(r"[\w-]{1,60}", part, re.ASCII) else shown(part)
