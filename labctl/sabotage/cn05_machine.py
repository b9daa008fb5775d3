"""CN-05: the compute node makes machines of another kind."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, misset


@fault(
    "CN-05",
    "The wrong kind of machine",
    level=1,
    lasts="file",
    group="nova-compute",
    red=("C04:services", "C10"),
    green=(*BASE, *every(), "C05"),
    hints=(
        "One host is down, or fails every boot.",
        "Its log says what it cannot make.",
        "[libvirt] virt_type in nova-compute.conf",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the compute node make containers instead of virtual machines."""
    node = scene.pick(random, "compute").name
    change = Respell(
        path="/etc/nova/nova-compute.conf", section="libvirt", option="virt_type", find="^qemu$", put="lxc"
    )
    sed = "s/^virt_type = lxc/virt_type = qemu/"
    return misset(node, change, sed, "nova-compute", wrong="is lxc; it was qemu.", waits=False)
