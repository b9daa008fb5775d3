"""CP-17: a host counts a hundredth of its memory."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every, in_cloud

_OPTION = "ram_allocation_ratio"


@fault(
    "CP-17",
    "Empty and full",
    level=2,
    lasts="file",
    group="inventory",
    red=("C04:providers", "C10"),
    green=(*BASE, *every(), "C04:services", "C05"),
    hints=(
        "The host is empty and full.",
        "Who keeps the books of what hosts have?",
        "`openstack resource provider inventory list`: the ratio. Who writes it there?",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have a compute node offer a hundredth of its memory."""
    node, path, units = scene.pick(random, "compute").name, SERVICES["nova"].conf, ("nova-compute",)
    return Drawn(
        node=node,
        service="nova-compute",
        # Nova leaves the ratio as it finds it when the option is gone: Placement's is undone after the file.
        breaks=(
            in_cloud(scene, f"ratio {node} MEMORY_MB", values={"ratio": 0.01}),
            Break(node=node, change=Ini(path=path, values={"DEFAULT": {_OPTION: 0.01}}), restart=units),
        ),
        explanation=f"[DEFAULT] {_OPTION} in {path} of {node} is 0.01, and Placement's inventory has it from there. "
        "Without the option Nova leaves the inventory as it is.",
        repair=(corrected(node, path, "DEFAULT", f"s/^{_OPTION} = .*/{_OPTION} = 4/", units),),
        cheat=(corrected(node, path, "DEFAULT", f"{{/^{_OPTION}/d}}", units),),
    )
