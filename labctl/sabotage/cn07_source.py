"""CN-07: a compute node asks the wrong place for images."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, every, misset


@fault(
    "CN-07",
    "Old images boot, new ones do not",
    level=2,
    lasts="file",
    group="nova-glance",
    red=("C19",),
    green=(*BASE, *every(), "C04:services", "C05", "C10"),
    hints=(
        "What was made before goes on working on this host.",
        "Which images does a host have already, and where do the others come from?",
        "[glance] api_servers of nova.conf on that host.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:  # noqa: ARG001 - nothing of it is left to chance
    """Have a compute node look for Glance at a port where nobody is."""
    node, right = scene.first("compute", "nova").name, f"http://{scene.address('glance')}:9292"
    change = Ini(path=SERVICES["nova"].conf, values={"glance": {"api_servers": right.replace("9292", "9922")}})
    return misset(node, change, f"s|^api_servers = .*|api_servers = {right}|", "nova-compute", wrong=f"is not {right}.")
