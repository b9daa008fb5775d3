"""CP-02: Placement is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped


@fault(
    "CP-02",
    "All lists, no servers",
    level=2,
    lasts="runtime",
    group="placement",
    red=("C02:placement",),
    green=(*BASE, *every("placement")),
    hints=(
        "Everything can be listed, and no server finds a host.",
        "Whom does the scheduler ask for room?",
        "`systemctl status placement-api`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop Placement, a helper that users never call."""
    node = scene.pick(random, "placement")
    return stopped(
        node,
        "placement-api",
        service="placement",
        explanation=f"placement-api of {node.name} is stopped. Boots end in `No valid host`.",
    )
