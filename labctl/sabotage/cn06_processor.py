"""CN-06: the compute node asks for a processor that it cannot have."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, corrected, every


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
    node, path = scene.pick(random, "compute").name, "/etc/nova/nova-compute.conf"
    return Drawn(
        node=node,
        service="nova-compute",
        breaks=(
            Break(
                node=node,
                change=Respell(path=path, section="libvirt", option="cpu_mode", find="^none$", put="host-passthrough"),
                restart=("nova-compute",),
                waits=False,
            ),
        ),
        explanation=f"[libvirt] cpu_mode in {path} of {node} is host-passthrough; it was none, for the node emulates.",
        repair=(corrected(node, path, "libvirt", "s/^cpu_mode = .*/cpu_mode = none/", ("nova-compute",)),),
    )
