"""CN-11: a compute node has another name."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, misset


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
    node = scene.pick(random, "compute").name
    change = Ini(path="/etc/nova/nova-compute.conf", values={"DEFAULT": {"host": "compute-01"}})
    wrong = "is compute-01; the agent refuses to start under another name."
    return misset(node, change, "{/^host = compute-01/d}", "nova-compute", wrong=wrong, waits=False)
