"""VO-05: LVM does not show the group."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, changed, every, restart

_VARIANTS = {"cinder alone": "/etc/cinder/lvm.conf"}
_FILTER = 'devices { global_filter = ["r|.*|"] }'


@fault(
    "VO-05",
    "The disk is there, the group is not",
    level=3,
    lasts="file",
    group="cinder",
    red=("C06", "C08:blank"),
    green=(*BASE, *every(), "C02:cinder"),
    hints=(
        "You see the group. Does Cinder?",
        "Run `vgs` with Cinder's environment: what does it read first?",
        "LVM_SYSTEM_DIR, and a filter in the file that it finds there.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have LVM look at no disk: for everybody, or for Cinder alone."""
    variant, path = scene.choose(random, _VARIANTS)
    node = scene.nodes("cinder-volume")[0].name
    return changed(
        node,
        Line(path=path, match="devices .*", line=_FILTER, add=True),
        "cinder-volume",
        variant=variant,
        explanation=f"{path} of {node} filters every disk away, so Cinder finds no volume group.",
        repair=(Typed(node=node, line=f"sed -i '/global_filter/d' {path}; {restart('cinder-volume')}"),),
    )
