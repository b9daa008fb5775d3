"""CP-01: Nova's API is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped


@fault(
    "CP-01",
    "Compute does not answer",
    level=1,
    lasts="runtime",
    group="nova-api",
    red=("C02:nova",),
    green=(*BASE, *every("nova")),
    hints=(
        "Which API does not answer?",
        "Is anything listening on port 8774?",
        "`systemctl status nova-api`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop Nova's API."""
    node = scene.pick(random, "nova")
    return stopped(
        node,
        "nova-api",
        service="nova",
        explanation=f"nova-api of {node.name} is stopped. Its port is closed.",
    )
