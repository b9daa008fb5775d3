"""GL-02: Glance cannot write into its folder."""

from __future__ import annotations

from random import Random

from labctl.changes import Permissions
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every


@fault(
    "GL-02",
    "Look, but do not bring",
    level=2,
    lasts="file",
    group="images",
    red=("C07:upload",),
    green=(*BASE, *every(), "C07:stock"),
    hints=(
        "Images are read. What about a new one?",
        "Where does Glance put what comes?",
        "Who owns /var/lib/glance/images, and which folder does the configuration name?",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Give the folder of images to root."""
    node, path = scene.library(random).name, "/var/lib/glance/images"
    return Drawn(
        node=node,
        service="glance",
        breaks=(Break(node=node, change=Permissions(path=path, owner="root:root")),),
        explanation=f"{path} of {node} belongs to root: Glance reads there and cannot write.",
        repair=(Typed(node=node, line=f"chown glance:glance {path}"),),
    )
