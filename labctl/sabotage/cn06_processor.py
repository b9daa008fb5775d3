"""CN-06: the compute node asks for a processor that it cannot have."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, misset


@fault(
    "CN-06",
    "A processor that is not there",
    level=2,
    lasts="file",
    group="nova-compute",
    red=("C04:services", "C10"),
    green=(*BASE, *every(), "C05"),
    hints=(
        "Boots end in ERROR on one host, or it does not come up.",
        "libvirt says what it cannot give.",
        "[libvirt] cpu_mode in nova-compute.conf",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have an emulating compute node pass its own processor through, which emulation cannot."""
    node = scene.pick(random, "compute").name
    change = Respell(
        path="/etc/nova/nova-compute.conf", section="libvirt", option="cpu_mode", find="^none$", put="host-passthrough"
    )
    wrong = "is host-passthrough; it was none, for the node emulates."
    return misset(node, change, "s/^cpu_mode = .*/cpu_mode = none/", "nova-compute", wrong=wrong, waits=False)
