"""NW-12: the router is switched off."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, in_cloud, openstack


@fault(
    "NW-12",
    "Inside yes, outside no",
    level=1,
    lasts="data",
    group="router",
    red=("C12",),
    green=(*BASE, *every(), "C10", "C11"),
    hints=(
        "Servers run and have addresses inside. Nothing goes out or in.",
        "What is between the two networks?",
        "`openstack router show router1`: admin_state_up.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Switch demo's router off."""
    node = scene.pick(random, "neutron").name
    return Drawn(
        node=node,
        service="neutron",
        breaks=(in_cloud(scene, "router router1", values={"is_admin_state_up": False}),),
        explanation="router1 is administratively down.",
        repair=(openstack(node, "openstack router set --enable router1"),),
    )
