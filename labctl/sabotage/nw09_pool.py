"""NW-09: the pool of floating addresses is empty."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, in_cloud, openstack


@fault(
    "NW-09",
    "No more addresses",
    level=1,
    lasts="data",
    group="floating",
    red=("C12",),
    green=(*BASE, *every(), "C10"),
    hints=(
        "Servers run. What about an address for the outside?",
        "The message names what is exhausted.",
        "`openstack subnet show public`: allocation pools.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Empty the pool of floating addresses."""
    node = scene.pick(random, "neutron").name
    first, last = scene.floating()
    return Drawn(
        node=node,
        service="neutron",
        # Neutron chose the router's address, so a drawing knows none that is taken.
        breaks=(in_cloud(scene, "subnet public", values={"allocation_pools": []}),),
        explanation=f"The subnet public has no allocation pool; it was {first} to {last}.",
        repair=(
            openstack(
                node,
                f"openstack subnet set --no-allocation-pool --allocation-pool start={first},end={last} public",
            ),
        ),
    )
