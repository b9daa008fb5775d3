"""KS-23: a service does not take service tokens."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every

_VARIANTS = {"neutron": "C10", "cinder": "C17"}


@fault(
    "KS-23",
    "The messenger is not believed",
    level=3,
    lasts="file",
    group="credentials",
    red=("C10", "C17"),
    green=(*BASE, *every("neutron", "cinder")),
    hints=(
        "People get in, services do not.",
        "Two tokens travel in one request.",
        "Which role must a service token carry, and who asks for it?",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have one service ask for a role in service tokens that nobody has."""
    name, red = scene.choose(random, _VARIANTS)
    node, service, option = scene.nodes(name)[0].name, SERVICES[name], "service_token_roles"
    return Drawn(
        node=node,
        service=name,
        variant=name,
        red=(red,),
        breaks=(
            Break(
                node=node,
                change=Ini(path=service.conf, values={"keystone_authtoken": {option: "services"}}),
                restart=(service.api,),
            ),
        ),
        explanation=f"[keystone_authtoken] {option} in {service.conf} of {node} is services; the role is service.",
        repair=(
            corrected(
                node, service.conf, "keystone_authtoken", f"s/^{option} = .*/{option} = service/", (service.api,)
            ),
        ),
    )
