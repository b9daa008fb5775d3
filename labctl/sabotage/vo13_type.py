"""VO-13: the volume type names another back end."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, in_cloud, openstack, restart


@fault(
    "VO-13",
    "Names must match",
    level=2,
    lasts="data",
    group="cinder",
    red=("C08:blank",),
    green=(*BASE, *every(), "C06"),
    hints=(
        "The back end is up, and no volume finds it.",
        "A volume has a type. What does the type ask for?",
        "`openstack volume type show lvm` against volume_backend_name.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the volume type ask for a back end that there is not."""
    node = scene.pick(random, "cinder").name
    mend = "openstack volume type set --property volume_backend_name=lvm lvm"
    return Drawn(
        node=node,
        service="cinder",
        breaks=(in_cloud(scene, "volume-type lvm", values={"extra_specs": {"volume_backend_name": "LVM_iSCSI"}}),),
        explanation="The type lvm asks for the back end LVM_iSCSI, the package's own name; the lab's is called lvm.",
        repair=(openstack(node, mend),),
        cheat=(Typed(node=node, line=restart("cinder-scheduler")),),
    )
