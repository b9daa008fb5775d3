"""VO-05: LVM does not show the group."""

from __future__ import annotations

from random import Random

from labctl.changes import PutFile
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, restart

_VARIANTS = {"cinder alone": "/etc/cinder/lvm.conf"}


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
    node = scene.nodes("cinder")[0].name
    text = 'devices {\\n\\tglobal_filter = ["r|.*|"]\\n}\\n'
    return Drawn(
        node=node,
        service="cinder-volume",
        variant=variant,
        breaks=(
            Break(
                node=node,
                change=PutFile(path=path, content=text, mode=0o644),
                restart=("cinder-volume",),
            ),
        ),
        explanation=f"{path} of {node} filters every disk away, so Cinder finds no volume group.",
        repair=(Typed(node=node, line=f"rm {path}; {restart('cinder-volume')}"),),
    )
