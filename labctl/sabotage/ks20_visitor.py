"""KS-20: demo has lost a role."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import in_cloud, openstack

_VARIANTS = {
    "keystone member": (("heat_stack_owner",), ("C03:nova", "C03:glance")),
    "keystone all": ((), ("C01",)),
}


@fault(
    "KS-20",
    "admin can, demo cannot",
    level=1,
    lasts="data",
    group="demo",
    red=("C01", "C03:nova", "C03:glance"),
    green=("B01",),
    hints=(
        "admin works, demo does not.",
        "An account without a role is a visitor.",
        "`openstack role assignment list --user demo --names`",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Take the role member from demo, or every role."""
    variant, (kept, red) = scene.choose(random, _VARIANTS)
    node = scene.nodes("keystone")[0].name
    roles = ("member", "heat_stack_owner") if scene.nodes("heat") else ("member",)
    lost = [role for role in roles if role not in kept]
    return Drawn(
        node=node,
        service="keystone",
        variant=variant,
        red=red,
        breaks=(in_cloud(scene, "roles demo demo", values={"roles": [role for role in roles if role in kept]}),),
        explanation=f"demo has lost its roles in the project demo: {', '.join(lost)}.",
        repair=(openstack(node, *(f"openstack role add --user demo --project demo {role}" for role in lost)),),
    )
