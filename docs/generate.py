"""Writes docs/reference/cli.md from the commands themselves: `python docs/generate.py` (`--check` only compares)."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from labctl.cli.root import SECTIONS, root

PAGE = Path(__file__).parent / "reference" / "cli.md"


def page() -> str:
    """Return the whole page."""
    parts = ["# Every command", "", "Made from the commands by `docs/generate.py`; do not edit.", ""]
    context = click.Context(root, info_name="labctl", max_content_width=100, terminal_width=100)
    for section, commands in SECTIONS.items():
        parts += [f"## {section}", ""]
        for name in commands:
            command = root.get_command(context, name)
            assert command is not None
            parts += described(command, context, name)
    return "\n".join(parts)


def described(command: click.Command, parent: click.Context, name: str) -> list[str]:
    """Return a command's help, and that of its subcommands."""
    context = click.Context(command, info_name=name, parent=parent, max_content_width=100, terminal_width=100)
    lines = [f"### {context.command_path}", "", "```text", command.get_help(context), "```", ""]
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            subcommand = command.get_command(context, below)
            assert subcommand is not None
            lines += described(subcommand, context, below)
    return lines


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text() != page())
    PAGE.write_text(page())
