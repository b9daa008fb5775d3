"""Reads the exercises of docs/exercises: what is typed on a node, and what outside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs/exercises"
_BLOCK = re.compile(r"^```(sh|outside)\n(.*?)^```$", re.M | re.S)
_NODE = re.compile(r"^On ([a-z0-9-]+)\b", re.M)


@dataclass(frozen=True)
class Block:
    """Lines that are typed together.

    Attributes:
        outside: on the machine where labctl runs, not on the page's node.
    """

    outside: bool
    text: str


@dataclass(frozen=True)
class Page:
    """An exercise.

    Attributes:
        node: where its blocks are typed; empty where the page does not name one.
    """

    name: str
    title: str
    node: str
    blocks: tuple[Block, ...]


def read(file: Path) -> Page:
    """Read a page."""
    text = file.read_text()
    node = _NODE.search(text)
    blocks = tuple(Block(outside=kind == "outside", text=lines) for kind, lines in _BLOCK.findall(text))
    title = text.partition("\n")[0].removeprefix("# ")
    return Page(name=file.stem, title=title, node=node[1] if node else "", blocks=blocks)


def every() -> list[Page]:
    """Return all pages but the list of them."""
    return [read(file) for file in sorted(FOLDER.glob("*.md")) if file.name != "README.md"]
