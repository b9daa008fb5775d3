"""CN-01: a compute node's agent is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped


@fault(
    "CN-01",
    "A host has gone",
    level=1,
    lasts="runtime",
    group="nova-compute",
    red=("C04:services",),
    green=(*BASE, *every(), "C05"),
    hints=(
        "Which hosts are there, and which are up?",
        "The node answers. Does its agent?",
        "`systemctl status nova-compute`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop Nova's agent on a compute node."""
    node = scene.pick(random, "compute")
    return stopped(
        node,
        "nova-compute",
        service="nova-compute",
        explanation=f"nova-compute of {node.name} is stopped. The host is down in `openstack compute service list`.",
    )
