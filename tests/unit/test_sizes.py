"""Files and signatures stay small enough to be read at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import labctl

PACKAGE = Path(labctl.__file__).parent
LINES, PARAMETERS = 400, 5


def use_cases() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield the public functions of labctl/lab, by where they are."""
    for path in sorted(PACKAGE.joinpath("lab").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield f"{path.stem}.{node.name}", node


def parameters(function: ast.FunctionDef) -> int:
    """Count what a caller may say."""
    return len([*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs])


def test_no_file_has_more_lines_than_can_be_read_at_once() -> None:
    sizes = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {name: size for name, size in sizes.items() if size >= LINES} == {}


def test_no_use_case_takes_more_than_five_parameters() -> None:
    counted = {name: parameters(function) for name, function in use_cases()}
    assert {name: count for name, count in counted.items() if count > PARAMETERS} == {}
    assert counted["create.create"] == 4  # they are found
