"""CN-11: a compute node has another name."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, corrected, every


@fault(
    "CN-11",
    "A host by another name",
    level=2,
    lasts="file",
    group="nova-compute",
    red=("C04:services",),
    green=(*BASE, *every(), "C05"),
    hints=(
        "One host is down, and its unit does not start.",
        "Since when does a host know its own name?",
        "compute_id and [DEFAULT] host.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Give Nova's agent another name for its host."""
    node, path = scene.pick(random, "compute").name, "/etc/nova/nova-compute.conf"
    return Drawn(
        node=node,
        service="nova-compute",
        breaks=(
            Break(
                node=node,
                change=Ini(path=path, values={"DEFAULT": {"host": "compute-01"}}),
                restart=("nova-compute",),
                waits=False,
            ),
        ),
        explanation=f"{path} of {node} says host = compute-01; the agent refuses to start under another name.",
        repair=(corrected(node, path, "DEFAULT", "{/^host = compute-01/d}", ("nova-compute",)),),
    )
