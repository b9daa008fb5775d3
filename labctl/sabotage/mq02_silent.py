"""MQ-02: a part of a service looks for the broker elsewhere."""

from __future__ import annotations

import re
from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, at, corrected, every, listed

_VARIANTS = {
    "nova": "C04:services",
    "compute": "C04:services",
    "neutron": "C05",
    "cinder": "C06",
    "heat": "C03:heat",
}


@fault(
    "MQ-02",
    "One part has gone silent",
    level=1,
    lasts="file",
    group="broker-url",
    red=("C04:services", "C05", "C06", "C03:heat"),
    green=(*BASE, *every("heat")),
    hints=(
        "One service's parts are down, others' are not.",
        "Their logs try something again and again.",
        "transport_url in the main file.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have one service look for the broker at an address of nobody."""
    name, red = scene.choose(random, _VARIANTS)
    service = at(scene, "nova" if name == "compute" else name)
    path, units = service.conf, ("nova-compute",) if name == "compute" else service.units
    node, right, wrong = scene.nodes(name)[0].name, scene.address("rabbitmq"), scene.free_address(random)
    return Drawn(
        node=node,
        service="nova-compute" if name == "compute" else name,
        variant=name,
        red=(red,),
        green=(*BASE, *listed(scene, "heat")),
        breaks=(
            Break(
                node=node,
                change=Respell(
                    path=path, section="DEFAULT", option="transport_url", find=f"@{re.escape(right)}:", put=f"@{wrong}:"
                ),
                restart=units,
                waits=False,
            ),
        ),
        explanation=f"transport_url in {path} of {node} has the address {wrong}; the broker is at {right}.",
        repair=(corrected(node, path, "DEFAULT", f"s/@{wrong}:/@{right}:/", units),),
    )
