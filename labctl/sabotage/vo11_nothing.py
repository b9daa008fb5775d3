"""VO-11: the volume group is full of nothing."""

from __future__ import annotations

import uuid
from random import Random

from labctl.changes import LogicalVolume
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every

_GROUP = "cinder-volumes"


@fault(
    "VO-11",
    "Full of nothing",
    level=2,
    lasts="data",
    group="cinder",
    red=("C06", "C08:blank"),
    green=(*BASE, *every()),
    hints=(
        "New volumes end in error, old ones work.",
        "How much room is there? `vgs`",
        "`lvs` against `openstack volume list --all-projects`.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Take all but half a gibibyte of the volume group for a volume that Cinder does not know."""
    node = scene.pick(random, "cinder-volume").name
    name = f"volume-{uuid.UUID(int=random.getrandbits(128), version=4)}"
    return Drawn(
        node=node,
        service="cinder-volume",
        breaks=(Break(node=node, change=LogicalVolume(group=_GROUP, name=name, left=512)),),
        explanation=f"{name} on {node} takes nearly all the room of {_GROUP}, and Cinder knows no such volume.",
        repair=(Typed(node=node, line=f"lvremove -f {_GROUP}/{name}"),),
    )
