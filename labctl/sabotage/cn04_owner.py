"""CN-04: Nova's agent cannot write into its folder."""

from __future__ import annotations

from random import Random

from labctl.changes import Permissions
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every


@fault(
    "CN-04",
    "One host fails every boot",
    level=2,
    lasts="file",
    group="nova-compute",
    red=("C10",),
    green=(*BASE, *every(), "C04:services", "C05"),
    hints=(
        "Boots end in ERROR on one host.",
        "The server's fault names a path, or the agent's log does.",
        "Who owns /var/lib/nova/instances?",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Give the folder of instances to root."""
    node, path = scene.pick(random, "compute").name, "/var/lib/nova/instances"
    return Drawn(
        node=node,
        service="nova-compute",
        breaks=(Break(node=node, change=Permissions(path=path, owner="root:root")),),
        explanation=f"{path} of {node} belongs to root, and nova-compute is no root.",
        repair=(Typed(node=node, line=f"chown nova:nova {path}"),),
    )
