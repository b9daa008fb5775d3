"""KS-09: the URL of an endpoint is wrong."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, endpoint, every, in_cloud, listed, openstack

_PORTS = {"glance": 9292, "neutron": 9696, "nova": 8774, "cinder": 8776, "heat": 8004, "keystone": 5000}
_VARIANTS = {name: (SERVICES[name], port) for name, port in _PORTS.items()}


@fault(
    "KS-09",
    "The signpost points the wrong way",
    level=1,
    lasts="data",
    group="catalogue",
    red=("C02:glance", "C02:neutron", "C02:nova", "C02:cinder", "C02:heat", "C02:keystone"),
    green=(*BASE, *every()),
    hints=(
        "Does your client talk to the machine that you think it talks to? Use --debug.",
        "The URL comes from the catalogue.",
        "Compare `openstack endpoint list` with `ss -ltnp` on the service's node.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Give the public endpoint of one service the port of nobody."""
    name, (service, port) = scene.choose(random, _VARIANTS)
    node, wrong = scene.nodes("keystone")[0].name, port + random.choice((8, 10, 100))
    ask = endpoint(service.type)
    return Drawn(
        node=node,
        service="keystone",
        variant=name,
        red=(f"C02:{name}",),
        green=(*BASE, *listed(scene, name)),
        breaks=(in_cloud(scene, f"endpoint {service.type} public", respelled={"url": (f":{port}", f":{wrong}")}),),
        explanation=f"The public endpoint of {service.type} has port {wrong} instead of {port}.",
        repair=(
            openstack(
                node,
                "export OS_INTERFACE=internal",
                f"id=$({ask})",
                f"url=$(openstack endpoint show $id -f value -c url | sed s/:{wrong}/:{port}/)",
                'openstack endpoint set --url "$url" $id',
            ),
        ),
    )
