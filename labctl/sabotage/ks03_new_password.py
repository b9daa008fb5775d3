"""KS-03: Keystone has another password of a service's user."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, every, in_cloud, listed, openstack, restart

_VARIANTS = {name: SERVICES[name] for name in ("glance", "placement", "nova", "neutron", "cinder", "heat")}
_FOLLOW = {"neutron": ("nova",), "nova": ("neutron",)}


@fault(
    "KS-03",
    "It worked until a moment ago, and no file has changed",
    level=2,
    lasts="data",
    group="credentials",
    red=every(),
    green=(*BASE, *every()),
    hints=(
        "One API rejects everything; compare its log with Keystone's log at the same second.",
        "Keystone logs failed logins by name.",
        "Take the credentials from that service's configuration and request a token by hand with them.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Give the user of one service another password in Keystone."""
    name, service = scene.choose(random, _VARIANTS)
    node = scene.nodes(name)[0].name
    return Drawn(
        node=scene.nodes("keystone")[0].name,
        service="keystone",
        variant=name,
        red=(f"C03:{name}",),
        green=(*BASE, *listed(scene, name, *_FOLLOW.get(name, ()))),
        breaks=(in_cloud(scene, f"password {name}", values={"on record": False}),),
        explanation=f"Keystone has another password of the user {name} than {service.conf} of {node}.",
        repair=(
            openstack(
                node,
                f"word=$(sed -n '/^\\[keystone_authtoken\\]/,/^\\[/ s/^password *= *//p' {service.conf})",
                f'openstack user set --password "$word" {name}',
            ),
        ),
        cheat=(Typed(node=node, line=restart(service.api)),),
    )
