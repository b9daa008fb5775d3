"""VO-02: the exporter of volumes is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped


@fault(
    "VO-02",
    "Made, but not delivered",
    level=2,
    lasts="runtime",
    group="iscsi",
    red=("C17",),
    green=(*BASE, *every(), "C06", "C08:blank"),
    hints=(
        "A volume is made, and is never attached.",
        "Who hands it out, at port 3260?",
        "`systemctl status tgt`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop the program that hands volumes out."""
    node = scene.pick(random, "cinder-volume")
    return stopped(
        node,
        "tgt",
        service="tgt",
        explanation=f"tgt of {node.name} is stopped; whatever is attached is cut off, too.",
    )
