"""Secrets as a type: a text that holds one is carried to where it is used, and has another face for whoever prints.

A `Secret` is no string: what formats, joins or prints it by accident fails at once. It grows by `+` and is quoted by
`map`, and stays a secret on the way. Programs in nodes may still print what they read: `scrub` hides that in their
output.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import quote, quote_plus

from labctl import quoting
from labctl.errors import InputError


@dataclass(frozen=True)
class Secret:
    """A text that holds a secret.

    Attributes:
        value: the text, for whoever uses it.
        shown: the text as people may read it.
    """

    value: str = field(repr=False)
    shown: str

    def map(self, quoted: Callable[[str], str]) -> Secret:
        """Return the secret as a language writes it; people see no difference."""
        return Secret(quoted(self.value), self.shown)

    def __add__(self, other: str | Secret) -> Secret:
        return Secret(self.value + reveal(other), self.shown + shown(other))

    def __radd__(self, other: str) -> Secret:
        return Secret(other + self.value, other + self.shown)

    def __str__(self) -> NoReturn:
        raise TypeError(f"{self.shown} is a secret: join it with +, quote it with map, or reveal it where it is used")

    def __format__(self, spec: str) -> NoReturn:
        self.__str__()


Text = str | Secret


def join(parts: Iterable[Text]) -> Text:
    """Return parts joined to one text, which is a secret when any of them is."""
    joined: Text = ""
    for part in parts:
        joined = joined + part
    return joined


def reveal(data: Any) -> Any:
    """Return data with the values of the secrets in it, for its use."""
    return _walk(data, lambda secret: secret.value)


def shown(data: Any) -> Any:
    """Return data as people may read it."""
    return _walk(data, lambda secret: secret.shown)


def scrub(text: str, secrets: Mapping[str, str]) -> str:
    """Replace every secret in the output of a program by its name, however it was written.

    A short secret is replaced where it stands as a word, for it may be a part of innocent ones.
    """
    forms = {form: name for name, value in secrets.items() for form in _forms(value) if form}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) >= _LONG:
            text = text.replace(form, f"<{forms[form]}>")
        else:
            text = re.sub(rf"(?<![\w<]){re.escape(form)}(?![\w>])", f"<{forms[form]}>", text)
    return text


_LONG = 6  # characters; shorter secrets may be parts of innocent words


def _forms(value: str) -> Iterator[str]:
    """Yield a secret as languages write it, and line by line."""
    yield value
    yield from (line for line in value.splitlines() if line != value)
    yield from (quote(value), quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1], repr(value)[1:-1])
    for quoted in (quoting.oslo, quoting.shell, quoting.sql, quoting.yaml):
        try:
            yield quoted(value).strip("'\"")
        except InputError:
            continue


def _walk(data: Any, face: Callable[[Secret], str]) -> Any:
    if isinstance(data, Secret):
        return face(data)
    if isinstance(data, Mapping):
        return {key: _walk(value, face) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return type(data)(_walk(value, face) for value in data)
    return data
