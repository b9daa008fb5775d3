"""CP-13: a flavor asks for what no host has."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, in_cloud, openstack


@fault(
    "CP-13",
    "The order cannot be served",
    level=1,
    lasts="data",
    group="flavor",
    red=("C10",),
    green=(*BASE, *every(), "C04:services"),
    hints=(
        "No host is valid, and all are idle.",
        "What does the order ask for?",
        "`openstack flavor show m1.tiny`: properties.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the smallest flavor ask for processors of its own, which no host of a lab gives away."""
    node = scene.pick(random, "nova").name
    mend = "openstack flavor unset --property hw:cpu_policy m1.tiny"
    return Drawn(
        node=node,
        service="nova",
        breaks=(in_cloud(scene, "flavor m1.tiny", values={"extra_specs": {"hw:cpu_policy": "dedicated"}}),),
        explanation="The flavor m1.tiny has the property hw:cpu_policy=dedicated.",
        repair=(openstack(node, mend),),
    )
