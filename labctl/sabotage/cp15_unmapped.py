"""CP-15: Nova has no cell for a compute node."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini, Unmapped
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every

_DISCOVER = "runuser -u nova -- nova-manage cell_v2 discover_hosts"


@fault(
    "CP-15",
    "Present, and never chosen",
    level=3,
    lasts="data",
    group="cell-host",
    red=("C04:providers", "C10"),
    green=(*BASE, *every(), "C04:services", "C05"),
    hints=(
        "A host reports, and nothing is ever put on it.",
        "Nova knows hosts at two levels.",
        "`nova-manage cell_v2 list_hosts`; who adds hosts there, and how often?",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Take the last of several compute nodes out of its cell, and have nobody look for it."""
    node, host = scene.pick(random, "nova").name, scene.nodes("compute")[1:][-1].name
    path, units = SERVICES["nova"].conf, ("nova-scheduler",)
    option = "discover_hosts_in_cells_interval"
    return Drawn(
        node=node,
        service="nova",
        breaks=(
            Break(node=node, change=Ini(path=path, values={"scheduler": {option: -1}}), restart=units),
            Break(node=node, change=Unmapped(host=host)),
        ),
        explanation=f"{host} is mapped to no cell, and {option} in {path} of {node} is -1: nobody looks for new hosts.",
        repair=(
            corrected(node, path, "scheduler", f"s/^{option} = .*/{option} = 60/", units),
            Typed(node=node, line=_DISCOVER),
        ),
        alternative=(Typed(node=node, line=_DISCOVER),),
    )
