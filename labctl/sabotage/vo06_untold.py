"""VO-06: nobody told the exporter of volumes."""

from __future__ import annotations

from random import Random

from labctl.changes import Absent
from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, changed, every, restart

_PATH, _LINE = "/etc/tgt/conf.d/cinder_tgt.conf", "include /var/lib/cinder/volumes/*"


@fault(
    "VO-06",
    "Nobody told the exporter",
    level=3,
    lasts="file",
    group="iscsi",
    red=("C17",),
    green=(*BASE, *every(), "C06", "C08:blank"),
    hints=(
        "tgt runs, and knows nothing.",
        "How do targets get into it?",
        "/etc/tgt/conf.d",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Remove the file by which tgt learns of Cinder's volumes."""
    node = scene.pick(random, "cinder-volume").name
    return changed(
        node,
        Absent(path=_PATH),
        "tgt",
        explanation=f"{_PATH} of {node} is missing, so tgt reads none of Cinder's targets.",
        repair=(Typed(node=node, line=f"echo '{_LINE}' >{_PATH}; {restart('tgt')}"),),
        alternative=(Typed(node=node, line=f"echo '{_LINE}' >/etc/tgt/conf.d/volumes.conf; {restart('tgt')}"),),
        cheat=(Typed(node=node, line=restart("tgt")),),
    )
