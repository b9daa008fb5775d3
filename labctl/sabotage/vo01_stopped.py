"""VO-01: one of Cinder's units is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped

_VARIANTS = {
    "cinder api": ("cinder-api", "C02:cinder"),
    "cinder scheduler": ("cinder-scheduler", "C06"),
    "cinder volume": ("cinder-volume", "C06"),
}


@fault(
    "VO-01",
    "Volumes get stuck",
    level=1,
    lasts="runtime",
    group="cinder",
    red=("C02:cinder", "C06"),
    green=(*BASE, *every("cinder")),
    hints=(
        "Lists of other services work. How far does a volume get?",
        "Cinder has three units. Which one hands on to which?",
        "`openstack volume service list`, and port 8776.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop one of Cinder's three units."""
    variant, (unit, red) = scene.choose(random, _VARIANTS)
    node = scene.running(unit, "cinder")[0]
    return stopped(
        node,
        unit,
        service="cinder" if unit == "cinder-api" else unit,
        variant=variant,
        red=(red,),
        explanation=f"{unit} of {node.name} is stopped.",
    )
