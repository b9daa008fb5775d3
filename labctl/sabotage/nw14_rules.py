"""NW-14: the default group's rules are gone."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, in_cloud

_VARIANTS = {
    "neutron icmp": ("icmp", "C12", "--protocol icmp"),
    "neutron tcp": ("tcp", "C13", "--protocol tcp --dst-port 22"),
}


@fault(
    "NW-14",
    "Time-out, not refused",
    level=1,
    lasts="data",
    group="rules",
    red=("C12", "C13"),
    green=(*BASE, *every(), "C10", "C11"),
    hints=(
        "The address is right, and nobody answers.",
        "Time-out, not refused: who drops?",
        "`openstack security group rule list default` as demo.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Take a rule out of demo's default group: ICMP, or SSH."""
    variant, (protocol, red, option) = scene.choose(random, _VARIANTS)
    node = scene.nodes("neutron")[0].name
    return Drawn(
        node=node,
        service="neutron",
        variant=variant,
        red=(red,),
        breaks=(in_cloud(scene, f"rule demo {protocol}", values={"rule": None}),),
        explanation=f"demo's default group lets {protocol} in no more.",
        repair=(Typed(node=node, line=f". /root/demo-openrc; openstack security group rule create {option} default"),),
    )
