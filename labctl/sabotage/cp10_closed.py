"""CP-10: a service cannot read its own configuration."""

from __future__ import annotations

from random import Random

from labctl.changes import Permissions
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, every, listed, restart

_VARIANTS = {name: (SERVICES[name], name) for name in ("nova", "glance", "cinder", "neutron")}


@fault(
    "CP-10",
    "The service cannot read its mind",
    level=1,
    lasts="file",
    group="modes",
    red=("C02:nova", "C03:nova", "C02:glance", "C02:cinder", "C03:cinder", "C02:neutron", "C03:neutron"),
    green=(*BASE, *every()),
    hints=(
        "One API does not work. Is its unit even running?",
        "Its configuration has not one wrong letter.",
        "`ls -l` on the main file: who may read it?",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Close the main configuration file of one service to all but root."""
    name, (service, group) = scene.choose(random, _VARIANTS)
    node = scene.nodes(name)[0].name
    return Drawn(
        node=node,
        service=name,
        variant=name,
        red=(f"C02:{name}",) if name == "glance" else (f"C02:{name}", f"C03:{name}"),
        green=(*BASE, *listed(scene, name)),
        breaks=(
            Break(
                node=node,
                change=Permissions(path=service.conf, owner="root:root", mode=0o600),
                restart=(service.api,),
                waits=False,
            ),
        ),
        explanation=f"{service.conf} of {node} belongs to root:root and has mode 600; {name} is no root.",
        repair=(
            Typed(
                node=node,
                line=f"chgrp {group} {service.conf}; chmod 640 {service.conf}; {restart(service.api)}",
            ),
        ),
        cheat=(Typed(node=node, line=restart(service.api)),),
    )
