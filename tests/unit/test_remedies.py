"""What messages advise exists: commands, options, and the team where a command is about a node."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import labctl
from labctl.cli.root import root
from tests.unit.test_docs import complaint

PACKAGE = Path(labctl.__file__).parent
ADVICE = {"remedy", "hint", "again", "reset"}  # arguments and variables that hold advice
COMMAND = re.compile(r"labctl ((?:[a-zA-Z-]+|X)\b[^.;,:()`'\"\n→|]*)")
PROSE = {"as", "with", "X"}  # labctl with sudo; X stands for golden list or snapshot list
LABS = {"start", "stop", "create", "destroy", "install", "status", "adopt"}


def advices(package: Path) -> Iterator[tuple[str, str, str]]:
    """Give each command that the texts of a package name: place, command, and whether its text is advice ("advice")."""
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text())
        parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.JoinedStr | ast.Constant) or isinstance(parents.get(node), ast.JoinedStr):
                continue
            text = flat(node)
            kind = "advice" if is_advice(node, parents) else "text"
            for found in COMMAND.finditer(text):
                yield f"{path.relative_to(package)}:{node.lineno}", found[1].strip(), kind


def flat(node: ast.JoinedStr | ast.Constant) -> str:
    """Return a text with X for all that is filled in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)


def is_advice(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    while node in parents:
        above = parents[node]
        if isinstance(above, ast.keyword):
            return above.arg in ADVICE
        if isinstance(above, ast.Assign):
            return any(isinstance(target, ast.Name) and target.id in ADVICE for target in above.targets)
        if isinstance(above, ast.stmt):
            return False
        node = above
    return False


FOUND = sorted(set(advices(PACKAGE)))


def command_of(words: list[str]) -> tuple[click.Command | None, list[str]]:
    """Return the command that words begin with, and the other words."""
    context, command = click.Context(root, info_name="labctl"), root
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0]) if words else None
        if found is None:
            return None, words
        command, words = found, words[1:]  # type: ignore[assignment]
    return command, words


def test_there_is_advice() -> None:
    assert len([place for place, _, kind in FOUND if kind == "advice"]) > 60


@pytest.mark.parametrize(("place", "line", "kind"), FOUND)
def test_a_command_that_a_message_names_exists(place: str, line: str, kind: str) -> None:
    words = line.split()
    if words[0] in PROSE or (kind == "text" and command_of(words)[0] is None):
        return  # labctl is, labctl does
    assert command_of(words)[0] is not None, f"{place}: there is no labctl {line}"
    options = [word for word in words if word.startswith("-")]
    assert complaint(" ".join(["labctl", *words[:2], *options])) == "", place


@pytest.mark.parametrize(("place", "line"), [(place, line) for place, line, kind in FOUND if kind == "advice"])
def test_advice_about_a_node_names_its_team(place: str, line: str) -> None:
    """Where there are several labs, a command without a team is refused."""
    command, words = command_of(line.split())
    if command is None:
        return  # which the other test has judged
    about = {parameter.name for parameter in command.params}
    if "team" in about and words and words[0] not in ("-t", "--team"):
        assert "-t" in words, f"{place}: labctl {line}"
    if line.split()[0] in LABS:
        assert re.match(r"[A-Zt]|--orphans", " ".join(words)), f"{place}: labctl {line}"
