"""BA-09: one neighbour is sent to a gateway that is none."""

from __future__ import annotations

from random import Random

from labctl.changes import Card
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-09",
    "One neighbour, one direction",
    level=3,
    lasts="runtime",
    group="routes",
    red=("B03", "B10"),
    green=("B01", "B02"),
    hints=(
        "Two nodes do not hear each other on one network; all their cards are right.",
        "Packets arrive at one end. Where does the other end send its answers?",
        "`ip route get ADDRESS` for each neighbour, on both nodes.",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Give one node a route of its own to one neighbour, by an address where nobody is."""
    node, card, other, far = scene.wired(random)
    subnet = scene.lab.network(card.network).subnet
    assert subnet is not None
    gateway = subnet[-3]
    route = f"{far.address} via {gateway}"
    return Drawn(
        node=node.name,
        service="routes",
        breaks=(Break(node=node.name, change=Card(card=card.name, route=route)),),
        explanation=f"{node.name} sends what is for {far.address} ({other.name}) to {gateway}, where nobody is: "
        f"`ip route get {far.address}`.",
        repair=(Typed(node=node.name, line=f"ip route del {route}"),),
        cheat=(Typed(node=node.name, line=f"ip route add {far.address} dev {card.name} metric 5"),),
    )
