"""MQ-06: a service asks for another virtual host."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, at, corrected, every, listed

_VARIANTS = {"nova": "C04:services", "cinder": "C06"}


@fault(
    "MQ-06",
    "The right house, the wrong flat",
    level=2,
    lasts="file",
    group="broker-url",
    red=("C04:services", "C06"),
    green=(*BASE, *every()),
    hints=(
        "One service's parts are down, others' are not.",
        "The broker is reached. What does it say?",
        "The end of transport_url.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have one service ask the broker for a virtual host that there is not."""
    name, red = scene.choose(random, _VARIANTS)
    node, service = scene.nodes(name)[0].name, at(scene, name)
    return Drawn(
        node=node,
        service=name,
        variant=name,
        red=(red,),
        green=(*BASE, *listed(scene)),
        breaks=(
            Break(
                node=node,
                change=Respell(path=service.conf, section="DEFAULT", option="transport_url", find="/$", put=f"/{name}"),
                restart=service.daemons,
                waits=False,
            ),
        ),
        explanation=f"transport_url in {service.conf} of {node} ends in /{name}; the broker has no such virtual host.",
        repair=(corrected(node, service.conf, "DEFAULT", f"s|^\\(transport_url.*/\\){name}$|\\1|", service.daemons),),
    )
