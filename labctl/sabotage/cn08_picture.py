"""CN-08: a console's address is wrong."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every


@fault(
    "CN-08",
    "A screen without a picture",
    level=2,
    lasts="file",
    group="console",
    red=("C21",),
    green=(*BASE, *every(), "C04:services"),
    hints=(
        "The console's page opens, and shows nothing.",
        "From where to where does the picture go?",
        "[vnc] of nova.conf on the compute node.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the compute node tell the console proxy an address of nobody."""
    node, path = scene.pick(random, "compute").name, SERVICES["nova"].conf
    right, wrong = scene.address("compute", node), scene.free_address(random)
    option = "server_proxyclient_address"
    return Drawn(
        node=node,
        service="nova-compute",
        breaks=(
            Break(
                node=node,
                change=Ini(path=path, values={"vnc": {option: wrong}}),
                restart=("nova-compute",),
            ),
        ),
        explanation=f"[vnc] {option} in {path} of {node} is {wrong}; the node has {right}.",
        repair=(corrected(node, path, "vnc", f"s/^{option} = .*/{option} = {right}/", ("nova-compute",)),),
    )
