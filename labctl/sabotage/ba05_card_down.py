"""BA-05: a card is down."""

from __future__ import annotations

from random import Random

from labctl.changes import Card
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-05",
    "One network has lost a member",
    level=1,
    lasts="runtime",
    group="cards",
    red=("B03", "B10"),
    green=("B01", "B02"),
    hints=(
        "Ping each node on each network: who is missing where?",
        "It has its address. Does it have its card?",
        "`ip -br link` on that node.",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Take one inner card of a node down."""
    node, card, _, _ = scene.wired(random)
    return Drawn(
        node=node.name,
        service=f"network {card.network}",
        breaks=(Break(node=node.name, change=Card(card=card.name, up=False)),),
        explanation=f"{card.name} of {node.name} is down: `ip link`. Its address is still there, its routes are not.",
        repair=(Typed(node=node.name, line=f"ip link set {card.name} up"),),
        alternative=(Typed(node=node.name, line=f"networkctl up {card.name}"),),
    )
