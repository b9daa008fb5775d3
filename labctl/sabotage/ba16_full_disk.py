"""BA-16: a disk is full."""

from __future__ import annotations

from random import Random

from labctl.changes import Filler
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-16",
    "No room for another word",
    level=1,
    lasts="file",
    group="disk",
    red=("B07",),
    green=("B01", "B02", "B03", "B08"),
    hints=(
        "Programs of ordinary users fail where root's do not.",
        "`df -h` on every node. What takes the room?",
        "`du -xh / | sort -h | tail`",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Fill one node's disk with one file, but for what is root's alone."""
    node = scene.pick(random)
    path = random.choice(("/var/log/messages.1", "/var/cache/debconf/templates.dat-new", "/var/tmp/core.1187"))  # noqa: S108
    return Drawn(
        node=node.name,
        service="full disk",
        breaks=(Break(node=node.name, change=Filler(path=path)),),
        explanation=f"{path} takes all the room of {node.name}'s disk that users other than root may have.",
        repair=(Typed(node=node.name, line=f"rm {path}"),),
        alternative=(Typed(node=node.name, line=f": >{path}"),),
        cheat=(Typed(node=node.name, line="apt-get clean"),),
    )
