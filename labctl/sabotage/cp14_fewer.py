"""CP-14: a compute node is switched off in Nova."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, in_cloud, openstack, restart


@fault(
    "CP-14",
    "Fewer hands",
    level=1,
    lasts="data",
    group="nova-compute",
    red=("C04:services",),
    green=(*BASE, *every(), "C05"),
    hints=(
        "New servers go to other hosts, or to none.",
        "Each host is up. May each be used?",
        "`openstack compute service list`: the column Status.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Disable Nova's agent of one compute node, and give no reason."""
    node = scene.pick(random, "compute").name
    return Drawn(
        node=node,
        service="nova-compute",
        breaks=(in_cloud(scene, f"compute-service {node}", values={"status": "disabled"}),),
        explanation=f"nova-compute of {node} is disabled: the scheduler passes it by.",
        repair=(openstack(node, f"openstack compute service set --enable {node} nova-compute"),),
        cheat=(Typed(node=node, line=restart("nova-compute")),),
    )
