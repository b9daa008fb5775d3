"""KS-08: a service looks for Keystone at another port."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every, listed, restart

_VARIANTS = {name: SERVICES[name] for name in ("glance", "nova", "neutron", "cinder")}


@fault(
    "KS-08",
    "One service cannot find the doorman",
    level=1,
    lasts="file",
    group="credentials",
    red=("C03:nova", "C03:cinder", "C03:neutron", "C03:glance"),
    green=(*BASE, *every()),
    hints=(
        "The service cannot reach something. What does it try to reach?",
        "Its log prints the URL that it tries.",
        "auth_url has a port that nobody serves any more.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have one service look for Keystone at the port that it had years ago."""
    name, service = scene.choose(random, _VARIANTS)
    node = scene.nodes(name)[0].name
    return Drawn(
        node=node,
        service=name,
        variant=name,
        red=(f"C03:{name}",),
        green=(*BASE, *listed(scene, name)),
        breaks=(
            Break(
                node=node,
                change=Respell(
                    path=service.conf, section="keystone_authtoken", option="auth_url", find=":5000", put=":35357"
                ),
                restart=(service.api,),
            ),
        ),
        explanation=f"[keystone_authtoken] auth_url in {service.conf} of {node} has port 35357; Keystone is at 5000.",
        repair=(
            corrected(node, service.conf, "keystone_authtoken", "s/^\\(auth_url.*\\):35357/\\1:5000/", (service.api,)),
        ),
        cheat=(Typed(node=node, line=restart(service.api)),),
    )
