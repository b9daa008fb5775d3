"""KS-07: a service names another project or domain when it logs in."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every, listed, restart

_VARIANTS = {name: SERVICES[name] for name in ("nova", "cinder", "neutron")}


@fault(
    "KS-07",
    "The service introduces itself wrongly",
    level=2,
    lasts="file",
    group="credentials",
    red=("C03:nova", "C03:cinder", "C03:neutron"),
    green=(*BASE, *every()),
    hints=(
        "The password is right. What else identifies a login?",
        "A login has a user, a project and two domains.",
        "`openstack project list` against project_name.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have one service log in with a project or a domain that there is not."""
    name, service = scene.choose(random, _VARIANTS)
    node = scene.nodes(name)[0].name
    option, right, wrong = random.choice(
        (("project_name", "service", "services"), ("user_domain_name", "Default", "Defaults"))
    )
    return Drawn(
        node=node,
        service=name,
        variant=name,
        red=(f"C03:{name}",),
        green=(*BASE, *listed(scene, name)),
        breaks=(
            Break(
                node=node,
                change=Ini(path=service.conf, values={"keystone_authtoken": {option: wrong}}),
                restart=(service.api,),
            ),
        ),
        explanation=f"[keystone_authtoken] {option} in {service.conf} of {node} is {wrong}; it is {right}.",
        repair=(
            corrected(
                node, service.conf, "keystone_authtoken", f"s/^{option} = {wrong}/{option} = {right}/", (service.api,)
            ),
        ),
        cheat=(Typed(node=node, line=restart(service.api)),),
    )
