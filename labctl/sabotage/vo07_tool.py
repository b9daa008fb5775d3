"""VO-07: Cinder uses another program to hand volumes out."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every


@fault(
    "VO-07",
    "The wrong tool",
    level=2,
    lasts="file",
    group="iscsi",
    red=("C06",),
    green=(*BASE, *every()),
    hints=(
        "A volume is made, or not, and never attached.",
        "With which program are volumes handed out, and is it there?",
        "[lvm] target_helper",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have Cinder hand volumes out with a program that is not installed."""
    node, path = scene.pick(random, "cinder").name, SERVICES["cinder"].conf
    return Drawn(
        node=node,
        service="cinder-volume",
        breaks=(
            Break(
                node=node,
                change=Ini(path=path, values={"lvm": {"target_helper": "lioadm"}}),
                restart=("cinder-volume",),
            ),
        ),
        explanation=f"[lvm] target_helper in {path} of {node} is lioadm; the node has tgtadm.",
        repair=(corrected(node, path, "lvm", "s/^target_helper = .*/target_helper = tgtadm/", ("cinder-volume",)),),
    )
