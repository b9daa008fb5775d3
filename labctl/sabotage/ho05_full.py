"""HO-05: the disk of the APIs is full."""

from __future__ import annotations

from random import Random

from labctl.changes import Filler
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE


@fault(
    "HO-05",
    "Odd failures everywhere",
    level=2,
    lasts="file",
    group="disk",
    red=("B07", "C20:login"),
    green=BASE,
    hints=(
        "Logs have stopped.",
        "`df -h` on every node.",
        "The largest file: `du -xh / | sort -h | tail`.",
    ),
    stages=("installed",),
    pool=False,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Fill the disk of Nova's node, but for what is root's alone, with one file."""
    node = scene.alone(random, "nova").name
    path = random.choice(("/var/log/nova/nova-api.log.7", "/var/log/apache2/error.log.15", "/var/lib/nova/core.1187"))
    return Drawn(
        node=node,
        service="full disk",
        breaks=(Break(node=node, change=Filler(path=path)),),
        explanation=f"{path} takes all the room of {node}'s disk that users other than root may have.",
        repair=(Typed(node=node, line=f"rm {path}"),),
        alternative=(Typed(node=node, line=f": >{path}"),),
    )
