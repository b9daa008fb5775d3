"""BA-08: a card's MTU is too small."""

from __future__ import annotations

from random import Random

from labctl.changes import Card
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-08",
    "Small talk works, long stories do not",
    level=2,
    lasts="runtime",
    group="cards",
    red=("B03", "B10"),
    green=("B01", "B02"),
    hints=(
        "An ordinary ping answers. What about a large one?",
        "ping -M do -s 1472: who says what about its size?",
        "`ip link` shows every card's MTU.",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Set the MTU of one inner card of a node too low."""
    node, card, _, _ = scene.wired(random)
    mtu = random.choice((1280, 1300, 1400))
    return Drawn(
        node=node.name,
        service=f"network {card.network}",
        breaks=(Break(node=node.name, change=Card(card=card.name, mtu=mtu)),),
        explanation=f"{card.name} of {node.name} has MTU {mtu}; the network's is 1500. Small packets pass.",
        repair=(Typed(node=node.name, line=f"ip link set {card.name} mtu 1500"),),
        cheat=(Typed(node=node.name, line=f"ip link set {card.name} mtu 1499"),),
    )
