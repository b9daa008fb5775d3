"""VO-16: Nova takes the wrong entrance to Cinder."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, every, misset

_RIGHT = "catalog_info = block-storage:cinder:internalURL"
_VARIANTS = {
    "compute": (None, r"s/^\[cinder\]/&\n{}/", "nova-compute", "is missing: it is the public endpoint then"),
    "nova": ("block-storage:cinderv3:internalURL", "s/^catalog_info = .*/{}/", "nova-api", "names no service"),
}


@fault(
    "VO-16",
    "The wrong entrance",
    level=3,
    lasts="file",
    group="nova-cinder",
    red=("C17",),
    green=(*BASE, *every(), "C08:blank", "C10"),
    hints=(
        "Volumes are made, and do not get into servers.",
        "Who asks Cinder for them, and at which door?",
        "[cinder] catalog_info, on every node that has a nova.conf.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have Nova look for Cinder at an entrance that it has no way to, or that is not there."""
    variant, (value, sed, unit, wrong) = scene.choose(random, _VARIANTS, lambda name: _node(scene, random, name))
    node = _node(scene, random, variant)
    change = Ini(path=SERVICES["nova"].conf, values={"cinder": {"catalog_info": value}})
    return misset(node, change, sed.format(_RIGHT), unit, wrong=f"{wrong}; it was {_RIGHT}.", variant=variant)


def _node(scene: Scene, random: Random, variant: str) -> str:
    return (scene.inward(random, "compute") if variant == "compute" else scene.pick(random, "nova")).name
