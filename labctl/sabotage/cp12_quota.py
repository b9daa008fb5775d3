"""CP-12: demo's quota is used up."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, in_cloud, openstack

_VARIANTS = {
    "nova cores": ("quota-compute", "cores", "cores"),
    "nova instances": ("quota-compute", "instances", "instances"),
    "cinder volumes": ("quota-volume", "volumes", "volumes"),
    "neutron networks": ("quota-network", "networks", "networks"),
    "neutron floating": ("quota-network", "floating_ips", "floating-ips"),
}


@fault(
    "CP-12",
    "Enough is enough",
    level=1,
    lasts="data",
    group="quota",
    red=("X2",),
    green=(*BASE, *every()),
    hints=(
        "admin's projects are not concerned.",
        "403 or 413: which number is meant?",
        "`openstack quota show demo`",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Allow demo's project none more of something."""
    variant, (thing, name, option) = scene.choose(random, _VARIANTS)
    node = scene.nodes("keystone")[0].name
    return Drawn(
        node=scene.nodes(variant.split()[0])[0].name,
        service=variant.split()[0],
        variant=variant,
        breaks=(in_cloud(scene, f"{thing} demo", values={name: 0}),),
        explanation=f"The quota of demo's project allows 0 {name}.",
        repair=(openstack(node, f"openstack quota set --{option} 20 demo"),),
    )
