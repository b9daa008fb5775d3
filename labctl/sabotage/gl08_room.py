"""GL-08: the disk of images is full."""

from __future__ import annotations

from random import Random

from labctl.changes import Filler
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every


@fault(
    "GL-08",
    "Nothing new fits",
    level=2,
    lasts="file",
    group="disk",
    red=("C07:upload",),
    green=(*BASE, *every(), "C07:stock"),
    hints=(
        "Images are read. What about a new one?",
        "An upload ends with 413.",
        "`df -h /var/lib/glance` on Glance's node, and `du`.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Fill the disk of Glance's node, but for what is root's alone, with one file."""
    node = scene.library(random, "mariadb", "rabbitmq").name
    path = random.choice(("/var/lib/glance/images/.tmp-8841", "/var/lib/glance/image-cache.db-old"))
    return Drawn(
        node=node,
        service="glance",
        breaks=(Break(node=node, change=Filler(path=path)),),
        explanation=f"{path} takes all the room of {node}'s disk that users other than root may have.",
        repair=(Typed(node=node, line=f"rm {path}"),),
    )
