"""NW-03: a compute node's Open vSwitch agent is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped


@fault(
    "NW-03",
    "One host cannot be plugged in",
    level=2,
    lasts="runtime",
    group="switch-agent",
    red=("C05",),
    green=(*BASE, *every(), "C04:services"),
    hints=(
        "Boots fail on one host.",
        "Who connects the instances of that host to their network?",
        "`openstack network agent list`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop the Open vSwitch agent of a compute node."""
    node = scene.pick(random, "compute")
    return stopped(
        node,
        "neutron-openvswitch-agent",
        service="neutron-openvswitch-agent",
        explanation=f"neutron-openvswitch-agent of {node.name} is stopped. No port is bound on that host.",
    )
