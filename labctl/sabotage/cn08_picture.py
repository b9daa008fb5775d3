"""CN-08: a console's address is wrong."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, every, misset


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
    node = scene.first("compute").name
    right, wrong = scene.address("compute", node), scene.free_address(random)
    option = "server_proxyclient_address"
    change = Ini(path=SERVICES["nova"].conf, values={"vnc": {option: wrong}})
    sed = f"s/^{option} = .*/{option} = {right}/"
    return misset(node, change, sed, "nova-compute", wrong=f"is {wrong}; the node has {right}.")
