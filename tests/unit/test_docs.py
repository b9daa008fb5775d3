"""The documents say what is true: generated pages are current, links lead somewhere, command lines parse."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from labctl.cli.root import root

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])


def test_the_reference_is_what_the_commands_say() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs/generate.py", "--check"], check=False)
    assert done.returncode == 0, "run python docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs/README.md").read_text()
    pages = [page for page in (ROOT / "docs").rglob("*.md") if page != ROOT / "docs/README.md"]
    assert [page for page in pages if f"]({page.relative_to(ROOT / 'docs')})" not in index] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_line_parses(page: Path) -> None:
    lines = re.findall(r"^    (labctl [^\n>|#]*)", page.read_text(), re.MULTILINE)
    lines += re.findall(r"`(labctl [^`>|]*)`", page.read_text())
    for line in lines:
        assert complaint(re.split(r" {2,}", line)[0]) == "", line


def complaint(line: str) -> str:
    """Parse a command line without running it; return what click would say."""
    words = shlex.split(line)[1:]
    context = click.Context(root, info_name="labctl")
    command: click.Command = root
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, _, options = words[0].partition("|")
        found = command.get_command(context, name)
        if found is None:
            return f"there is no {words[0]}"
        assert not options or all(command.get_command(context, option) for option in options.split("|"))
        command, words = found, words[1:]
    command = getattr(command, "default", command)  # what a group runs when no subcommand is named
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"--help", "-h"}
    before = words[: words.index("--")] if "--" in words else words
    unknown = [word for word in before if word.startswith("-") and word.partition("=")[0] not in known]
    return f"there is no {', '.join(unknown)}" if unknown else ""
