"""KS-06: a service's user is disabled."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, every, in_cloud, listed, openstack, restart

_VARIANTS = {name: SERVICES[name] for name in ("glance", "placement", "nova", "neutron", "cinder", "heat")}


@fault(
    "KS-06",
    "A good password that is not good enough",
    level=2,
    lasts="data",
    group="credentials",
    red=every(),
    green=(*BASE, *every()),
    hints=(
        "Password and role look right, and still the login fails.",
        "Ask Keystone to show the account.",
        "`openstack user show NAME`: enabled",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Disable the user of one service."""
    name, service = scene.choose(random, _VARIANTS)
    node = scene.nodes("keystone")[0].name
    return Drawn(
        node=node,
        service="keystone",
        variant=name,
        red=(f"C03:{name}",),
        green=(*BASE, *listed(scene, name)),
        breaks=(in_cloud(scene, f"user {name}", values={"is_enabled": False}),),
        explanation=f"The user {name} is disabled in Keystone.",
        repair=(openstack(node, f"openstack user set --enable {name}"),),
        cheat=(Typed(node=scene.nodes(name)[0].name, line=restart(service.api)),),
    )
