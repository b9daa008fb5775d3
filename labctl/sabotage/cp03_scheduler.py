"""CP-03: Nova's scheduler is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped


@fault(
    "CP-03",
    "Waiting for a place",
    level=1,
    lasts="runtime",
    group="nova-scheduler",
    red=("C04:services",),
    green=(*BASE, *every(), "C05"),
    hints=(
        "New servers stay in `scheduling`.",
        "Who chooses a host?",
        "`openstack compute service list`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop Nova's scheduler."""
    node = scene.pick(random, "nova")
    return stopped(
        node,
        "nova-scheduler",
        service="nova-scheduler",
        explanation=f"nova-scheduler of {node.name} is stopped. Servers stay in `scheduling` until the call times out.",
    )
