"""GL-06: an image has rotted in its store."""

from __future__ import annotations

from random import Random

from labctl.changes import Rotten
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, openstack

_SOURCE = "/media/labctl/instance.qcow2"  # on every node whose image can make a cloud


@fault(
    "GL-06",
    "Active, and not intact",
    level=3,
    lasts="file",
    group="images",
    red=("C07:stock",),
    green=(*BASE, *every(), "C07:upload"),
    hints=(
        "The image is active. Is it intact?",
        "Glance remembers a checksum.",
        "Download it and compare.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Spoil the first block of the image for instances in its store."""
    node = scene.library(random).name
    return Drawn(
        node=node,
        service="glance",
        breaks=(Break(node=node, change=Rotten(place="store", image="instance")),),
        explanation=f"The first block of the image instance below /var/lib/glance/images of {node} is spoiled; "
        "size and time of the file are as before.",
        repair=(
            openstack(
                node,
                "id=$(openstack image show instance -f value -c id)",
                f"cat {_SOURCE} >/var/lib/glance/images/$id",
            ),
        ),
    )
