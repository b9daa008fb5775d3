"""NW-29: Open vSwitch is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import stopped


@fault(
    "NW-29",
    "The switch under the table",
    level=2,
    lasts="runtime",
    group="switch",
    red=("C05", "C10", "C02:nova"),
    green=("B01",),
    hints=(
        "Everything on this host is mute.",
        "Below the agent there is something else.",
        "`ovs-vsctl show`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop Open vSwitch on a compute node."""
    node = scene.pick(random, "compute")
    return stopped(
        node,
        "openvswitch-switch",
        service="openvswitch-switch",
        explanation=f"openvswitch-switch of {node.name} is stopped, and with it the switch itself.",
    )
