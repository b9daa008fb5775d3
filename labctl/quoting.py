"""The one quoting place: what goes into shell, YAML, XML, INI, SQL, Python or a URL passes here and cannot break out.

Each function returns `Quoted`, a string that its language may hold as it is. Templates are rendered with `demand` as
their last step, which refuses every value that passed no quoting function.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from labctl.errors import InputError

# XML 1.0, production 2 (Char): everything else cannot stand in a document, not even escaped.
_NOT_XML = re.compile("[^\\t\\n\\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# Beyond quotes and backslashes: what YAML 1.1 readers take for a line break or refuse inside double quotes.
_YAML_ESCAPED = {
    '"': '\\"',
    "\\": "\\\\",
    "\n": "\\n",
    "\t": "\\t",
    "\u2028": "\\L",
    "\u2029": "\\P",
    "\ufeff": "\\uFEFF",
}
_YAML_SPECIAL = re.compile("[" + re.escape("".join(_YAML_ESCAPED)) + "]")


class Quoted(str):
    """Text that is safe where it is going."""

    __slots__ = ()


def demand(value: object) -> object:
    """Return a template's value when it is quoted or a number; refuse any other.

    Raises:
        TypeError: the template lets a value through that no quoting function has seen.
    """
    if isinstance(value, Quoted) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise TypeError(f"a template prints {value!r} without a quoting filter")


def ini(value: object) -> Quoted:
    """Return a value for an INI file that uWSGI, MariaDB and others read: one line, with no character special to any.

    Raises:
        InputError: the value has more than one line, blanks at an end, or a character that one of them gives a meaning.
    """
    text = _line(str(value))
    if text != text.strip():
        raise InputError(f"{text!r} cannot be written to an INI file", remedy="Remove the blanks at the ends.")
    if found := re.search("[\"'$%@#;\\\\]", text):
        raise InputError(
            f"{text!r} cannot be written to an INI file", remedy=f"Remove the character {found[0]} from it."
        )
    return Quoted(text)


def oslo(value: object) -> Quoted:
    """Write a value for a configuration file as oslo.config reads it.

    oslo.config replaces `$name` by another option (`\\$` is a dollar sign), cuts blanks off, and takes one pair of
    quotes away (oslo_config.iniparser, oslo_config.cfg.ConfigOpts._substitute).

    Raises:
        InputError: the value has more than one line, or control characters.
    """
    text = _line(str(value)).replace("$", "\\$")
    if text != text.strip() or (text[:1] in ("'", '"') and text[0] == text[-1]):
        text = f'"{text}"'
    return Quoted(text)


def parser(value: object) -> Quoted:
    """Write a value as Glance's store in Swift reads it: Python's ConfigParser, for which percent signs begin a name,
    and which then takes one pair of quotes away (glance_store._drivers.swift.utils.SwiftConfigParser)."""
    return Quoted('"' + _line(str(value)).replace("%", "%%") + '"')


def python(value: str) -> Quoted:
    """Write a string literal of Python, for Django's settings."""
    return Quoted(repr(value))


def shell(value: object) -> Quoted:
    """Quote one word for a POSIX shell.

    Raises:
        InputError: the value holds control characters other than tab and newline.
    """
    return Quoted(shlex.quote(_clean(str(value))))


def shell_line(words: Iterable[object]) -> Quoted:
    """Quote words and join them to one command for a POSIX shell."""
    return Quoted(" ".join(shell(word) for word in words))


def sql(value: object) -> Quoted:
    """Write a string literal of MariaDB.

    Raises:
        InputError: the value holds control characters other than tab and newline.
    """
    escaped = _clean(str(value)).replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n")
    return Quoted(f"'{escaped}'")


def sql_name(value: object) -> Quoted:
    """Write the name of a database, table or user as MariaDB's quoted identifier."""
    return Quoted("`" + _clean(str(value)).replace("`", "``") + "`")


def ssh_file(path: object) -> Quoted:
    """Write the path of a file as the value of an option of OpenSSH: blanks would end it, % begins a token."""
    text = _clean(str(path)).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return Quoted(f'"{text}"')


def url(value: object) -> Quoted:
    """Write a part of a URL, a password for instance: nothing in it ends the part."""
    return Quoted(quote(str(value), safe=""))


def word(value: object) -> Quoted:
    """Return one word for a file whose words are separated by blanks, /etc/hosts for instance.

    Raises:
        InputError: the value is empty, or holds blanks, control characters or a comment sign.
    """
    text = _clean(str(value))
    if not text or re.search(r"[\s#]", text):
        raise InputError(f"{text!r} is not one word", remedy="Remove blanks and comment signs from the value.")
    return Quoted(text)


def xml(value: object) -> Quoted:
    """Escape text for an XML element or attribute.

    Raises:
        InputError: the value holds characters that XML 1.0 cannot hold.
    """
    text = str(value)
    if found := _NOT_XML.search(text):
        raise _refusal(text, found)
    for plain, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&apos;")):
        text = text.replace(plain, escaped)
    return Quoted(text)


def yaml(value: Any) -> Quoted:
    """Write a scalar, or a list of scalars, so that YAML 1.1 and 1.2 readers get the same back.

    Text is always in double quotes, on one line; numbers, truth values and None are plain.

    Raises:
        InputError: a text holds control characters other than tab and newline.
    """
    if value is None:
        return Quoted("null")
    if isinstance(value, bool):
        return Quoted("true" if value else "false")
    if isinstance(value, int):
        return Quoted(value)
    if isinstance(value, (list, tuple)):
        return Quoted("[" + ", ".join(yaml(item) for item in value) + "]")
    text = _YAML_SPECIAL.sub(lambda found: _YAML_ESCAPED[found[0]], _clean(str(value)))
    return Quoted(f'"{text}"')


def _clean(text: str) -> str:
    """Return the text unchanged when it has no control characters but tab and newline."""
    if found := _CONTROL.search(text):
        raise _refusal(text, found)
    return text


def _line(text: str) -> str:
    """Return the text unchanged when it is one line."""
    if "\n" in text:
        raise InputError(f"{text!r} has more than one line", remedy="Remove the line breaks.")
    return _clean(text)


def _refusal(text: str, found: re.Match[str]) -> InputError:
    shown = text if len(text) <= 60 else text[:57] + "..."
    return InputError(
        f"{shown!r} holds the character U+{ord(found[0]):04X}, which is not allowed",
        remedy="Remove control characters from the value.",
    )
