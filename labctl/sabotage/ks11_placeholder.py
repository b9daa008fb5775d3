"""KS-11: the URL of an endpoint has a word that Keystone does not know."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, endpoint, every, in_cloud, listed, openstack

_VARIANTS = {
    "cinder": (r"/v3$", "/v3/%(project_uuid)s"),
    "heat": (r"%\(project_id\)s", "%(project_uuid)s"),
}
_RIGHT = {"cinder": "/v3", "heat": "%(project_id)s"}


@fault(
    "KS-11",
    "Listed, but not in your catalogue",
    level=2,
    lasts="data",
    group="catalogue",
    red=("C02:cinder", "C02:heat"),
    green=(*BASE, *every("cinder", "heat")),
    hints=(
        "The catalogue in your token and the table of endpoints differ.",
        "Keystone fills placeholders. What if it cannot?",
        "Which names of placeholders are valid: project_id, tenant_id.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Put an unknown placeholder into the public URL of one service."""
    name, (find, put) = scene.choose(random, _VARIANTS)
    service, node = SERVICES[name], scene.nodes("keystone")[0].name
    return Drawn(
        node=node,
        service="keystone",
        variant=name,
        red=(f"C02:{name}",),
        green=(*BASE, *listed(scene, "cinder", "heat")),
        breaks=(in_cloud(scene, f"endpoint {service.type} public", respelled={"url": (find, put)}),),
        explanation=f"The public URL of {service.type} ends in {put}: Keystone knows no such word and leaves the "
        "endpoint out of everybody's catalogue, without a word.",
        repair=(
            openstack(
                node,
                f"id=$({endpoint(service.type)})",
                f"url=$(openstack endpoint show $id -f value -c url | sed 's|{put}|{_RIGHT[name]}|')",
                'openstack endpoint set --url "$url" $id',
            ),
        ),
    )
