"""VO-07: Cinder uses another program to hand volumes out."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, every, misset


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
    change = Ini(path=SERVICES["cinder"].conf, values={"lvm": {"target_helper": "lioadm"}})
    sed = "s/^target_helper = .*/target_helper = tgtadm/"
    wrong = "is lioadm; the node has tgtadm."
    return misset(scene.pick(random, "cinder-volume").name, change, sed, "cinder-volume", wrong=wrong)
