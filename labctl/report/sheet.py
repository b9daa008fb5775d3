"""A sheet on which pictures are drawn as SVG.

Widths of texts are estimated by `WIDTH`, for nobody measures fonts here. Colours are attributes, which every reader of
SVG knows; a style sheet replaces them on dark screens.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import NamedTuple

from labctl import quoting
from labctl.report.table import width

WIDTH = 0.63
"""How wide a character is at most on average, in parts of the font's size: DejaVu Sans Mono has 0.602, and bold text of
DejaVu Sans 0.62 (measured on this project's names and descriptions)."""

TEXT, SMALL, NAME, TITLE = 12, 11, 14, 18

_SANS = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"
MONO = "DejaVu Sans Mono, Menlo, Consolas, Liberation Mono, monospace"


class _Ink(NamedTuple):
    """A colour on light paper, and on dark screens."""

    light: str
    dark: str


_INKS = {
    "paper": _Ink("#ffffff", "#0d1117"),
    "box": _Ink("#f4f6f9", "#161b22"),
    "edge": _Ink("#7a869a", "#545d68"),
    "text": _Ink("#1c2733", "#e6edf3"),
    "faint": _Ink("#56637a", "#9da7b3"),
    "head": _Ink("#ffffff", "#0d1117"),
    "good": _Ink("#2f7d4f", "#57ab5a"),
    "bad": _Ink("#b42318", "#ff7b72"),
    "n0": _Ink("#5b6b82", "#a3b1c6"),
    "n1": _Ink("#2566ae", "#6cb6ff"),
    "n2": _Ink("#2f7d4f", "#6bc46d"),
    "n3": _Ink("#a1551b", "#f0a35e"),
    "n4": _Ink("#7446a8", "#c8a2f5"),
    "n5": _Ink("#0f6f6a", "#4fd1c5"),
}


@dataclass
class Sheet:
    """What was drawn so far."""

    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, text: str, *, ink: str, size: int = TEXT, **how: str) -> None:
        """Write a line; `how` may be anchor, family, weight."""
        family = how.get("family", _SANS)
        self.parts.append(
            f'<text class="{ink}" x="{x:g}" y="{y:g}" font-size="{size}" font-family="{family}" '
            f'text-anchor="{how.get("anchor", "start")}" font-weight="{how.get("weight", "normal")}" '
            f'fill="{_INKS[ink].light}">{quoting.xml(text)}</text>'
        )

    def box(self, x: float, y: float, wide: float, high: float, *, ink: str, edge: str = "", round_: int = 6) -> None:
        """Draw a filled rectangle."""
        line = f' stroke="{_INKS[edge].light}" stroke-width="1.2"' if edge else ""
        marks = f"{ink} {edge}-edge" if edge else ink
        self.parts.append(
            f'<rect class="{marks}" x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}" rx="{round_}" '
            f'fill="{_INKS[ink].light}"{line}/>'
        )

    def wire(self, x1: float, x2: float, y: float, *, ink: str) -> None:
        """Draw a level line."""
        self.parts.append(
            f'<path class="{ink}-edge" d="M{x1:g} {y:g}H{x2:g}" stroke="{_INKS[ink].light}" stroke-width="2" '
            f'fill="none"/>'
        )

    def dot(self, x: float, y: float, *, ink: str, radius: float) -> None:
        """Draw a disc."""
        self.parts.append(f'<circle class="{ink}" cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{_INKS[ink].light}"/>')


def estimate(text: str, font: int) -> float:
    """Return how wide a text is at most, in pixels."""
    return width(text) * font * WIDTH


def fold(text: str, font: int, wide: float) -> list[str]:
    """Break a text into lines that are no wider than that."""
    widest = max(map(width, text), default=1)
    return textwrap.wrap(text, max(1, int(wide / (font * WIDTH * widest))))


def document(sheet: Sheet, title: str, wide: float, high: float, *, dark: bool) -> str:
    """Return the picture.

    Args:
        dark: whether colours change on dark screens; not on paper.
    """
    rules = "".join(f".{name}{{fill:{ink.dark}}}.{name}-edge{{stroke:{ink.dark}}}" for name, ink in _INKS.items())
    style = f"<style>@media screen and (prefers-color-scheme:dark){{{rules}}}</style>" if dark else ""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.0f} {high:.0f}" role="img">',
            f"<title>{quoting.xml(title)}</title>",
            *([style] if style else []),
            f'<rect class="paper" width="{wide:.0f}" height="{high:.0f}" fill="{_INKS["paper"].light}"/>',
            *sheet.parts,
            "</svg>",
            "",
        ]
    )
