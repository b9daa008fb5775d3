"""CN-16: a compute node has another identity."""

from __future__ import annotations

from random import Random

from labctl.changes import PutFile
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, restart


@fault(
    "CN-16",
    "A host that forgot who it is",
    level=2,
    lasts="file",
    group="nova-compute",
    red=("C04:services",),
    green=(*BASE, *every(), "C05"),
    hints=(
        "One host is down, and its unit does not start.",
        "Since when does a host know its own name?",
        "compute_id: how many are there, and which one counts?",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Give a compute node a second identity, which it reads first."""
    node, path = scene.pick(random, "compute").name, "/etc/nova/compute_id"
    word = "".join(random.choice("0123456789abcdef") for _ in range(32))
    text = f"{word[:8]}-{word[8:12]}-4{word[13:16]}-8{word[17:20]}-{word[20:]}"
    return Drawn(
        node=node,
        service="nova-compute",
        breaks=(
            Break(
                node=node,
                change=PutFile(path=path, content=text, owner="root:nova", mode=0o644),
                restart=("nova-compute",),
                waits=False,
            ),
        ),
        explanation=f"{path} of {node} says another identity than /var/lib/nova/compute_id.",
        repair=(Typed(node=node, line=f"rm {path}; {restart('nova-compute')}"),),
    )
