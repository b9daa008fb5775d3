"""KS-02: Glance's user has lost its roles."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, in_cloud, openstack


@fault(
    "KS-02",
    "Images are for nobody",
    level=2,
    lasts="data",
    group="credentials",
    red=("C03:glance",),
    green=(*BASE, *every("glance")),
    hints=(
        "Only images say 401; the same token works elsewhere.",
        "A 401 from an API is not always about you.",
        "The role assignments of the user glance in the project service: all of them.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Take all roles in the project service from the user of Glance."""
    node = scene.pick(random, "keystone").name
    return Drawn(
        node=node,
        service="keystone",
        breaks=(in_cloud(scene, "roles glance service", values={"roles": []}),),
        explanation="The user glance has no role in the project service any more; it had admin and service.",
        repair=(
            openstack(
                node, *(f"openstack role add --user glance --project service {role}" for role in ("admin", "service"))
            ),
        ),
    )
