"""BA-10: the world is looked for inside."""

from __future__ import annotations

from random import Random

from labctl.changes import Card
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-10",
    "The way out leads into a cupboard",
    level=2,
    lasts="runtime",
    group="routes",
    red=("B10",),
    green=("B01", "B02", "B03"),
    hints=(
        "Neighbours answer. What lies beyond them?",
        "There are two ways out, and the worse one is preferred.",
        "`ip route`, the lines that begin with default.",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Give one node a better default route, by an inner network where nobody forwards anything."""
    node, card, _, _ = scene.wired(random)
    subnet = scene.lab.network(card.network).subnet
    assert subnet is not None
    route = f"default via {subnet[-3]} metric {random.choice((10, 50, 100))}"
    return Drawn(
        node=node.name,
        service="routes",
        breaks=(Break(node=node.name, change=Card(card=card.name, route=route)),),
        explanation=f"{node.name} has a second default route on {card.name}, better than that of its lease: {route}.",
        repair=(Typed(node=node.name, line=f"ip route del {route}"),),
    )
