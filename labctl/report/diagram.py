"""Draws a lab as SVG: nodes at both sides, networks between them, a wire for each card; with states where it lives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from labctl.lab.seen import Seen
from labctl.report.sheet import MONO, NAME, SMALL, TEXT, TITLE, Sheet, document, estimate, fold
from labctl.sizes import size
from labctl.spec.topology import Node, Topology

MARGIN = 20
PAD = 10
LINE = 18
GAP = 4  # between cards and notes
BAR = 8
LEAST = 190  # width of a node's box

_NETWORKS = 6


@dataclass(frozen=True, kw_only=True)
class _Card:
    network: int
    text: str


@dataclass(frozen=True, kw_only=True)
class _Box:
    """A node before it has a place."""

    name: str
    state: str
    cards: tuple[_Card, ...]
    notes: tuple[str, ...]
    red: tuple[str, ...]

    @property
    def height(self) -> int:
        """Pixels."""
        return (
            2 * PAD
            + LINE * (1 + len(self.cards) + len(self.notes) + len(self.red))
            + GAP * bool(self.notes or self.red)
        )


def svg(spec: Topology, seen: Seen | None = None, *, dark: bool = True) -> str:
    """Return the picture of a topology, or of a team's lab.

    Args:
        seen: what is known of the lab; None draws the topology.
        dark: whether colours change on dark screens; not on paper.
    """
    boxes = [_node(spec, name, seen) for name in spec.nodes]
    left, right = boxes[: (len(boxes) + 1) // 2], boxes[(len(boxes) + 1) // 2 :]
    wide = max([LEAST, *(_least(box) for box in boxes)])
    boxes_of = {side: [_wrapped(box, spec, wide) for box in some] for side, some in (("l", left), ("r", right))}
    heads = [_heading(spec, key, seen) for key in spec.networks]
    pitch = max(estimate(line, TEXT) for head in heads for line in head) + 2 * PAD + 12
    middle = MARGIN + wide + 24
    inner = middle + pitch * len(heads) + 24
    total = inner + (wide if right else 0) + MARGIN
    title, lines = _title(spec, seen), _lines(spec, seen)
    total = max(total, 2 * MARGIN + estimate(title, TITLE))
    wrapped = [part for line in lines for part in fold(line, TEXT, total - 2 * MARGIN)]
    top = MARGIN + 26 + LINE * len(wrapped) + 8
    high = LINE * max(map(len, heads)) + PAD
    sheet = Sheet()
    sheet.text(MARGIN, MARGIN + 16, title, ink="text", size=TITLE, weight="bold")
    for number, line in enumerate(wrapped):
        sheet.text(MARGIN, MARGIN + 36 + LINE * number, line, ink="faint")
    first = top + high + 16
    # Boxes of the two sides are half a line apart: no wire covers another one.
    places, y = [], first
    for row in range(len(left)):
        pair = [(side, some[row]) for side, some in boxes_of.items() if row < len(some)]
        places += [(side, y + (LINE // 2 if side == "r" else 0), box) for side, box in pair]
        y += max(box.height for _, box in pair) + 24
    bottom = y
    at = [middle + pitch * (number + 0.5) for number in range(len(heads))]
    for side, y, box in places:
        _wires(sheet, box, y, (MARGIN + wide) if side == "l" else inner, at)
    for number, head in enumerate(heads):
        _network(sheet, number, head, at[number], pitch - 12, top, high, bottom)
    for side, y, box in places:
        for position, card in enumerate(box.cards):
            sheet.dot(at[card.network], _card_y(y, position), ink=_ink(card.network), radius=5)
            sheet.dot(at[card.network], _card_y(y, position), ink="paper", radius=2)
        _draw(sheet, box, MARGIN if side == "l" else inner, y, wide)
    return document(sheet, title, total, bottom + MARGIN, dark=dark)


def _node(spec: Topology, name: str, seen: Seen | None) -> _Box:
    """Return a node's box; its notes are wrapped later."""
    node = spec.nodes[name]
    networks = list(spec.networks)
    cards = []
    for position, nic in enumerate(node.nics):
        nat = spec.networks[nic.network].kind == "nat"
        known = seen.plan.node(name).mgmt if seen and nat else nic.address
        text = str(known) if known else ("by DHCP" if nat else "unconfigured")
        cards.append(_Card(network=networks.index(nic.network), text=f"eth{position} {text}"))
    red = [f"✘ {check}" for check, nodes in seen.red.items() if name in nodes] if seen else []
    state = seen.states.get(name, "unknown") if seen else ""
    return _Box(name=name, state=state, cards=tuple(cards), notes=(), red=tuple(red))


def _wrapped(box: _Box, spec: Topology, wide: float) -> _Box:
    """Return a box with the notes that its width has room for."""
    notes = [part for note in _notes(spec.nodes[box.name]) for part in fold(note, SMALL, wide - 2 * PAD)]
    return replace(box, notes=tuple(notes))


def _notes(node: Node) -> Iterator[str]:
    for position, disk in enumerate(node.disks):
        yield f"/dev/vd{chr(ord('b') + position)}: {size(disk.size)}"
    if node.description:
        yield node.description


def _least(box: _Box) -> float:
    """Return how wide a box must be for what is not wrapped."""
    name = estimate(box.name, NAME) + (estimate(box.state, SMALL) + 24 if box.state else 0)
    return max(name, *(estimate(text, TEXT) for text in (*(card.text for card in box.cards), *box.red))) + 2 * PAD


def _heading(spec: Topology, key: str, seen: Seen | None) -> list[str]:
    """Return what stands over a network."""
    network = spec.networks[key]
    if network.kind == "nat":
        return [key, str(seen.plan.network(key).subnet) if seen else "a subnet per team"]
    return [key, str(network.subnet) if network.subnet else "unconfigured"]


def _title(spec: Topology, seen: Seen | None) -> str:
    return f"{seen.plan.team}: topology {spec.name}" if seen else f"The {spec.name} lab"


def _lines(spec: Topology, seen: Seen | None) -> Iterator[str]:
    """Yield what is said under the title."""
    example = next(iter(spec.nodes))
    named = {network.names: key for key, network in spec.networks.items()}
    known = [f"{example} means its address in {named['short']}"] if "short" in named else []
    known += [f"{example}.{spec.domain} that in {named['full']}"] if "full" in named else []
    if seen is None:
        yield f"{spec.description} The same names and addresses for every team.".strip()
    if known:
        yield f"{', '.join(known)}."
    if seen is not None:
        if seen.trouble:
            yield f"States are not known: {seen.trouble}."
        if not seen.checked:
            yield "It was never checked."
        elif not seen.red:
            yield f"Last check: {seen.checked}. All was green."
        else:
            everywhere = [check for check, nodes in seen.red.items() if not set(nodes) & spec.nodes.keys()]
            about = f"; of the whole lab: {', '.join(everywhere)}" if everywhere else ""
            yield f"Last check: {seen.checked}. Red: {', '.join(seen.red)}{about}."


def _wires(sheet: Sheet, box: _Box, y: float, x: float, at: Sequence[float]) -> None:
    for position, card in enumerate(box.cards):
        sheet.wire(x, at[card.network], _card_y(y, position), ink=_ink(card.network))


def _network(
    sheet: Sheet, number: int, head: Sequence[str], x: float, wide: float, top: float, high: float, bottom: float
) -> None:
    ink = _ink(number)
    sheet.box(x - BAR / 2, top + high - 2, BAR, bottom - top - high, ink=ink, round_=3)
    sheet.box(x - wide / 2, top, wide, high, ink=ink)
    for place, line in enumerate(head):
        weight = "bold" if place == 0 else "normal"
        sheet.text(x, top + 18 + LINE * place, line, ink="head", anchor="middle", weight=weight)


def _draw(sheet: Sheet, box: _Box, x: float, y: float, wide: float) -> None:
    """Draw a node."""
    sheet.box(x, y, wide, box.height, ink="box", edge="bad" if box.red else "edge")
    base = y + PAD + 13
    sheet.text(x + PAD, base, box.name, ink="text", size=NAME, weight="bold")
    if box.state:
        good = "good" if box.state == "running" else "bad"
        sheet.text(x + wide - PAD, base, box.state, ink=good, size=SMALL, anchor="end")
        sheet.dot(x + wide - PAD - estimate(box.state, SMALL) - 8, base - 4, ink=good, radius=4)
    for position, card in enumerate(box.cards):
        sheet.text(x + PAD, base + LINE * (1 + position), card.text, ink=_ink(card.network), family=MONO)
    base += LINE * (1 + len(box.cards)) + GAP
    for note in box.notes:
        sheet.text(x + PAD, base, note, ink="faint", size=SMALL)
        base += LINE
    for line in box.red:
        sheet.text(x + PAD, base, line, ink="bad", weight="bold")
        base += LINE


def _card_y(y: float, position: int) -> float:
    """Return where the wire of a card is: at the middle of its line."""
    return y + PAD + LINE * (1 + position) + LINE / 2


def _ink(number: int) -> str:
    return f"n{number % _NETWORKS}"
