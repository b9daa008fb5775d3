"""CN-13: what a compute node keeps of an image has rotted."""

from __future__ import annotations

from random import Random

from labctl.changes import Rotten
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, openstack

_KEPT = "/var/lib/nova/instances/_base"


@fault(
    "CN-13",
    "ACTIVE, and no login prompt",
    level=3,
    lasts="file",
    group="image-cache",
    red=("C11",),
    green=(*BASE, *every(), "C04:services", "C05", "C10"),
    hints=(
        "Servers are ACTIVE. What does their console say?",
        "The image is whole. What did the host make its disks of?",
        "Compare the files in _base with the image.",
    ),
    stages=("installed",),
    pool=False,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Spoil the first block of the image that a compute node keeps."""
    node = scene.pick(random, "compute").name
    return Drawn(
        node=node,
        service="nova-compute",
        breaks=(Break(node=node, change=Rotten(place="base", image="instance")),),
        explanation=f"The first block of the image instance in {_KEPT} of {node} is spoiled; Glance's own is whole.",
        # Nova gets it anew for the next server; the file's name is the hash of the image's ID.
        repair=(
            openstack(
                node,
                "id=$(openstack image show instance -f value -c id)",
                f"rm {_KEPT}/$(printf %s $id | sha1sum | cut -c-40)",
            ),
        ),
    )
