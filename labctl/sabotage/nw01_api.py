"""NW-01: Neutron's API is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped


@fault(
    "NW-01",
    "Networks do not answer",
    level=1,
    lasts="runtime",
    group="neutron-api",
    red=("C02:neutron",),
    green=(*BASE, *every("neutron")),
    hints=(
        "Which API does not answer?",
        "Is anything listening on port 9696?",
        "`systemctl status neutron-api`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop Neutron's API."""
    node = scene.pick(random, "neutron")
    return stopped(
        node,
        "neutron-api",
        service="neutron",
        explanation=f"neutron-api of {node.name} is stopped. Boots are refused, and detailed lists of servers.",
    )
