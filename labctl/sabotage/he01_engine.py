"""HE-01: Heat's engine is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped


@fault(
    "HE-01",
    "Stacks stay on paper",
    level=1,
    lasts="runtime",
    group="heat",
    red=("C03:heat",),
    green=(*BASE, "C02:heat", *every("heat")),
    hints=(
        "Even the list hangs.",
        "Who answers the API?",
        "`systemctl status heat-engine`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop Heat's engine, which Heat's API asks for everything."""
    node = scene.pick(random, "heat")
    return stopped(
        node,
        "heat-engine",
        service="heat-engine",
        explanation=f"heat-engine of {node.name} is stopped. The API waits for it, and answers 504.",
    )
