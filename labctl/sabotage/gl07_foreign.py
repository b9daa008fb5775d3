"""GL-07: an image asks for hosts that nobody has."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, in_cloud, openstack

_VARIANTS = {"glance architecture": ("architecture", "aarch64"), "glance hypervisor": ("hypervisor_type", "xen")}


@fault(
    "GL-07",
    "The hosts are idle, and none will do",
    level=3,
    lasts="data",
    group="images",
    red=("C10",),
    green=(*BASE, *every(), "C04:services", "C04:providers", "C05"),
    hints=(
        "The hosts are fine. Can the request be fulfilled?",
        "The scheduler has filters: after which one is no host left?",
        "`openstack image show instance`: properties.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the image for instances ask for another kind of host."""
    variant, (name, value) = scene.choose(random, _VARIANTS)
    node = scene.nodes("glance")[0].name
    return Drawn(
        node=node,
        service="glance",
        variant=variant,
        breaks=(in_cloud(scene, "image instance", values={name: value}),),
        explanation=f"The image instance has the property {name} = {value}, and no host is of that kind.",
        repair=(openstack(node, f"openstack image unset --property {name} instance"),),
    )
