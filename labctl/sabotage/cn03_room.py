"""CN-03: a compute node's disk is full."""

from __future__ import annotations

from random import Random

from labctl.changes import Filler
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every


@fault(
    "CN-03",
    "No room at one inn",
    level=1,
    lasts="file",
    group="disk",
    red=("C10",),
    green=(*BASE, *every(), "C04:services", "C05"),
    hints=(
        "Boots end in ERROR on one host.",
        "The scheduler counts capacity, not free space.",
        "`df -h /var/lib/nova/instances` on each compute node.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Fill the disk of a compute node, but for what is root's alone, with one file."""
    node = scene.alone(random, "compute").name
    path = random.choice(("/var/lib/nova/instances/_base/.part", "/var/lib/nova/instances/core.2217"))
    return Drawn(
        node=node,
        service="nova-compute",
        breaks=(Break(node=node, change=Filler(path=path)),),
        explanation=f"{path} takes all the room of {node}'s disk that users other than root may have.",
        repair=(Typed(node=node, line=f"rm {path}"),),
    )
