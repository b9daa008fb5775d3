"""KS-13: an endpoint is disabled."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, endpoint, every, in_cloud, listed, openstack, restart

_VARIANTS = {name: SERVICES[name] for name in ("glance", "neutron", "nova", "cinder")}


@fault(
    "KS-13",
    "A service has left the catalogue",
    level=1,
    lasts="data",
    group="catalogue",
    red=("C02:glance", "C02:neutron", "C02:nova", "C02:cinder"),
    green=(*BASE, *every()),
    hints=(
        "One service is missing from your token's catalogue.",
        "Its row still exists.",
        "`openstack endpoint list`: the column Enabled.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Disable the public endpoint of one service."""
    name, service = scene.choose(random, _VARIANTS)
    node = scene.nodes("keystone")[0].name
    return Drawn(
        node=node,
        service="keystone",
        variant=name,
        red=(f"C02:{name}",),
        green=(*BASE, *listed(scene, name)),
        breaks=(in_cloud(scene, f"endpoint {service.type} public", values={"is_enabled": False}),),
        explanation=f"The public endpoint of {service.type} is disabled.",
        repair=(openstack(node, f"openstack endpoint set --enable $({endpoint(service.type)})"),),
        cheat=(Typed(node=scene.nodes(name)[0].name, line=restart(service.api)),),
    )
