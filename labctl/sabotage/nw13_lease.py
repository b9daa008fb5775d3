"""NW-13: the subnet has no DHCP."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, in_cloud, openstack


@fault(
    "NW-13",
    "New guests differ from old ones",
    level=2,
    lasts="data",
    group="subnet",
    red=("C11",),
    green=(*BASE, *every(), "C09"),
    hints=(
        "New servers have no address inside.",
        "The DHCP agent runs. For which subnets?",
        "`openstack subnet show subnet1`: enable_dhcp.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Switch DHCP of demo's subnet off."""
    node = scene.pick(random, "neutron").name
    return Drawn(
        node=node,
        service="neutron",
        breaks=(in_cloud(scene, "subnet subnet1", values={"is_dhcp_enabled": False}),),
        explanation="subnet1 has no DHCP.",
        repair=(openstack(node, "openstack subnet set --dhcp subnet1"),),
    )
