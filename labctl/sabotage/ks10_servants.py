"""KS-10: an internal endpoint is wrong."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, endpoint, in_cloud, openstack, restart

# the one whose API was restarted since, and so looks the endpoint up again; on another node it is not restarted
_VARIANTS = {name: SERVICES[name] for name in ("cinder", "neutron", "nova")}


@fault(
    "KS-10",
    "Users are served, servants are not",
    level=3,
    lasts="data",
    group="catalogue",
    red=("C03:cinder", "C03:neutron", "C03:nova"),
    green=(*BASE, "C02:nova"),
    hints=(
        "Your client and the services need not use the same door.",
        "There are several interfaces per service. Which one do services take?",
        "`openstack endpoint list --interface internal`: identity.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Give Keystone's internal endpoint the port of nobody, so that services cannot have tokens checked."""
    name, service = scene.choose(random, _VARIANTS)
    node = scene.nodes("keystone")[0].name
    url = f"http://{scene.address('keystone')}:5000/v3/"
    ask = endpoint("identity", "internal")
    return Drawn(
        node=node,
        service="keystone",
        variant=name,
        red=(f"C03:{name}",),
        breaks=(
            replace(
                in_cloud(scene, "endpoint identity internal", respelled={"url": (":5000", ":35357")}),
                restart=(service.api,),
            ),
        ),
        explanation="The internal endpoint of identity has port 35357 instead of 5000; services have tokens checked "
        "there. Logins use an address of their own.",
        repair=(openstack(node, f"openstack endpoint set --url {url} $({ask})", restart(service.api)),),
    )
