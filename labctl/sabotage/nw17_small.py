"""NW-17: a host's wire takes small packets alone."""

from __future__ import annotations

from random import Random

from labctl.changes import Card
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every


@fault(
    "NW-17",
    "Small talk only",
    level=3,
    lasts="runtime",
    group="wire",
    red=("C13",),
    green=(*BASE, *every(), "C05", "C10", "C11"),
    hints=(
        "Ping works, a login hangs.",
        "Small packets pass, large ones do not: `ping -M do -s`.",
        "The MTU of every card on the way.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:  # noqa: ARG001 - nothing of it is left to chance
    """Lower the MTU of the data card of a compute node."""
    node = scene.first("compute", "gateway")
    card = scene.wire(node).name
    return Drawn(
        node=node.name,
        service=f"network {card}",
        breaks=(Break(node=node.name, change=Card(card=card, mtu=1400)),),
        explanation=f"{card} of {node.name}, by which servers talk to other hosts, has MTU 1400; all else has 1500.",
        repair=(Typed(node=node.name, line=f"ip link set dev {card} mtu 1500"),),
    )
