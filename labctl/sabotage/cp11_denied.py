"""CP-11: a service may not enter its own folder."""

from __future__ import annotations

from random import Random

from labctl.changes import Permissions
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, listed, restart

_VARIANTS = {
    "nova": ("/var/log/nova", "nova-scheduler", "C04:services"),
    "cinder": ("/var/lib/cinder", "cinder-volume", "C06"),
}
_GROUPS = {"nova": "adm", "cinder": "cinder"}


@fault(
    "CP-11",
    "Permission denied. To what?",
    level=1,
    lasts="file",
    group="modes",
    red=("C06", "C04:services"),
    green=(*BASE, *every()),
    hints=(
        "A unit has failed, and its configuration is right.",
        "What does it open first?",
        "`ls -ld` on its folders in /var/log and /var/lib.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Close a folder of one service to all but root."""
    name, (path, unit, red) = scene.choose(random, _VARIANTS)
    node = scene.running(unit, name)[0].name
    return Drawn(
        node=node,
        service=unit,
        variant=name,
        red=(red,),
        green=(*BASE, *listed(scene)),
        breaks=(
            Break(
                node=node,
                change=Permissions(path=path, owner="root:root", mode=0o700),
                restart=(unit,),
                waits=False,
            ),
        ),
        explanation=f"{path} of {node} belongs to root and is closed; {unit} is no root.",
        repair=(Typed(node=node, line=f"chown {name}:{_GROUPS[name]} {path}; chmod 750 {path}; {restart(unit)}"),),
    )
