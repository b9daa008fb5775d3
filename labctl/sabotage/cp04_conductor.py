"""CP-04: Nova's conductor is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped


@fault(
    "CP-04",
    "Several rows are down",
    level=1,
    lasts="runtime",
    group="nova-conductor",
    red=("C04:services",),
    green=(*BASE, *every(), "C05", "C06"),
    hints=(
        "Several services are down at the same moment.",
        "Compute nodes do not write to the database themselves. Who does it for them?",
        "`systemctl status nova-conductor`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop Nova's conductor, through which compute nodes report."""
    node = scene.pick(random, "nova")
    return stopped(
        node,
        "nova-conductor",
        service="nova-conductor",
        explanation=f"nova-conductor of {node.name} is stopped. Compute nodes report through it.",
    )
