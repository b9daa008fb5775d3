"""Writes a manual page for each command: `python docs/man.py FOLDER`. They are made from the commands."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from labctl import __version__
from labctl.cli.root import SECTIONS, root

_ROFF = str.maketrans({"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"})
"""What must stay as it is typed, so that a line can be copied from a page into a shell."""


def pages() -> dict[str, str]:
    """Return every page, by the name of its file: one for labctl, one for each command with its subcommands."""
    above = click.Context(root, info_name="labctl")
    commands = {name: root.get_command(above, name) for section in SECTIONS.values() for name in section}
    found = {"labctl.1": _overview(above)}
    for name, command in commands.items():
        assert command is not None
        context = click.Context(command, info_name=name, parent=above)
        lines = [_title(f"labctl-{name}"), *_name(f"labctl-{name}", command.get_short_help_str(200))]
        lines += [*_described(command, context, heading=".SH {}"), ".SH SEE ALSO", ".BR labctl (1)"]
        found[f"labctl-{name}.1"] = "\n".join([*lines, ""])
    return found


def _overview(context: click.Context) -> str:
    lines = [_title("labctl"), *_name("labctl", root.get_short_help_str(200)), *_described(root, context, ".SH {}")]
    for section, commands in SECTIONS.items():
        lines.append(f".SS {_text(section)}")
        for name, (_, line) in commands.items():
            lines += [".TP", f".BR labctl\\-{_text(name)} (1)", _text(line)]
    lines += [".SH EXIT STATUS", "0 done, 1 failed, 2 bad input, 3 refused, 4 checks are red, 130 interrupted."]
    lines += [".SH FILES", ".TP", ".I ~/.local/share/labctl", "The labs on record. LABCTL_HOME names another folder."]
    return "\n".join([*lines, ""])


def _described(command: click.Command, context: click.Context, heading: str) -> Iterator[str]:
    """Return the usage, the text and the options of a command, and the same of its subcommands."""
    yield heading.format("SYNOPSIS")
    yield f".B {_text(context.command_path)}"
    yield _text(" ".join(command.collect_usage_pieces(context)))
    yield heading.format("DESCRIPTION")
    yield from _paragraphs(command.help or "")
    yield heading.format("OPTIONS")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1]:
            yield from (".TP", f".B {_text(record[0])}", _text(record[1]))
    yield from _paragraphs(command.epilog or "")
    if isinstance(command, click.Group):
        yield ".SH COMMANDS"
        for name in command.list_commands(context) if command is not root else ():
            below = command.get_command(context, name)
            assert below is not None
            inner = click.Context(below, info_name=name, parent=context)
            yield f".SS {_text(inner.command_path)}"
            yield from _described(below, inner, heading=".P\n.I {}\n.P")


def _paragraphs(text: str) -> Iterator[str]:
    r"""Return a help text; what follows a line with \b stays as it is typed."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            lines = [_text(line) for line in paragraph.splitlines()[1:]]
            yield from (".P", ".EX", *lines, ".EE")
        elif paragraph.strip():
            yield from (".P", _text(" ".join(paragraph.split())))


def _title(name: str) -> str:
    return f'.TH "{_text(name.upper())}" "1" "" "labctl {__version__}" "labctl"'


def _name(name: str, line: str) -> tuple[str, str]:
    return ".SH NAME", f"{_text(name)} \\- {_text(line.rstrip('.'))}"


def _text(text: str) -> str:
    r"""Return a line of text as roff shows it; \& keeps a dot at its begin from being a request."""
    plain = text.translate(_ROFF)
    return f"\\&{plain}" if plain.startswith(".") else plain


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in pages().items():
        (folder / name).write_text(page)
