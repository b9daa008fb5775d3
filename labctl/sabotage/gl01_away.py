"""GL-01: Glance is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped


@fault(
    "GL-01",
    "No images today",
    level=1,
    lasts="runtime",
    group="images",
    red=("C02:glance",),
    green=(*BASE, *every("glance")),
    hints=(
        "Which API does not answer?",
        "Is anything listening on port 9292?",
        "`systemctl status glance-api`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop the image service."""
    node = scene.pick(random, "glance")
    return stopped(
        node,
        "glance-api",
        service="glance",
        explanation=f"glance-api of {node.name} is stopped. Its port is closed; boots are refused, too.",
    )
