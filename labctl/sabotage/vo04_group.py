"""VO-04: Cinder looks for another volume group."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, every, misset


@fault(
    "VO-04",
    "The back end stays away",
    level=1,
    lasts="file",
    group="cinder",
    red=("C06", "C08:blank"),
    green=(*BASE, *every()),
    hints=(
        "Volumes end in error.",
        "`openstack volume service list`: which one is down? What does its log say?",
        "`vgs` against cinder.conf.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Misspell the volume group in Cinder's configuration."""
    change = Ini(path=SERVICES["cinder"].conf, values={"lvm": {"volume_group": "cinder-volume"}})
    sed = "s/^volume_group = .*/volume_group = cinder-volumes/"
    wrong = "is cinder-volume; the group is cinder-volumes."
    return misset(scene.pick(random, "cinder-volume").name, change, sed, "cinder-volume", wrong=wrong)
