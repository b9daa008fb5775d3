"""BA-07: a card's mask is too narrow."""

from __future__ import annotations

from random import Random

from labctl.changes import Card
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-07",
    "Some neighbours are further away than they look",
    level=2,
    lasts="runtime",
    group="cards",
    red=("B03", "B10"),
    green=("B01", "B02"),
    hints=(
        "The address is right, and the card is up.",
        "How far does the node believe its network to reach? `ip route get` each neighbour.",
        "The number behind the slash, compared with another node's.",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Narrow the mask of one inner card of a node to itself."""
    node, card, _, _ = scene.wired(random)
    wrong, right = f"{card.address}/32", f"{card.address}/{card.prefix}"
    swap = f"ip addr del {wrong} dev {card.name}; ip addr add {right} brd + dev {card.name}"
    return Drawn(
        node=node.name,
        service=f"network {card.network}",
        breaks=(Break(node=node.name, change=Card(card=card.name, address=wrong)),),
        explanation=f"{card.name} of {node.name} has prefix 32 instead of {card.prefix}: neighbours are sent to "
        "the default route, which does not know them.",
        repair=(Typed(node=node.name, line=swap),),
        alternative=(
            Typed(node=node.name, line=f"ip addr flush dev {card.name}; networkctl reconfigure {card.name}; sleep 3"),
        ),
        cheat=(
            Typed(
                node=node.name,
                line=f"ip route add {scene.lab.network(card.network).subnet} dev {card.name} src {card.address}",
            ),
        ),
    )
