"""KS-01: a service's user has lost its roles."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, every, in_cloud, listed, openstack, restart

_VARIANTS = {name: name for name in ("nova", "cinder", "neutron", "placement")}


@fault(
    "KS-01",
    "Nobody gets past one service's door",
    level=1,
    lasts="data",
    group="credentials",
    red=every("glance", "heat"),
    green=(*BASE, *every()),
    hints=(
        "Your own token is fine. Which single API refuses every request, even reads?",
        "A service must log in to Keystone itself before it can judge your token. Can it?",
        "`openstack role assignment list --user NAME --project service --names`",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Take all roles in the project service from the user of one service."""
    name, _ = scene.choose(random, _VARIANTS)
    node = scene.nodes("keystone")[0].name
    return Drawn(
        node=node,
        service="keystone",
        variant=name,
        red=(f"C03:{name}",),
        green=(*BASE, *listed(scene, name)),
        breaks=(in_cloud(scene, f"roles {name} service", values={"roles": []}),),
        explanation=f"The user {name} has no role in the project service any more; it had admin and service.",
        repair=(
            openstack(
                node, *(f"openstack role add --user {name} --project service {role}" for role in ("admin", "service"))
            ),
        ),
        cheat=(Typed(node=scene.nodes(name)[0].name, line=restart(SERVICES[name].api)),),
    )
