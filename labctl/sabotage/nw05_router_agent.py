"""NW-05: the L3 agent is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped


@fault(
    "NW-05",
    "Old addresses work, new ones do not",
    level=2,
    lasts="runtime",
    group="routers",
    red=("C05",),
    green=(*BASE, *every(), "C04:services"),
    hints=(
        "What worked goes on working. What is new does not.",
        "Who builds routers and floating addresses?",
        "`openstack network agent list`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop the L3 agent; routers that there are live on."""
    node = scene.pick(random, "gateway")
    return stopped(
        node,
        "neutron-l3-agent",
        service="neutron-l3-agent",
        explanation=f"neutron-l3-agent of {node.name} is stopped. New floating addresses stay DOWN.",
    )
