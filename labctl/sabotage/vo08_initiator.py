"""VO-08: a host has no initiator."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, stopped

_UNITS = ("iscsid.socket", "iscsid.service")


@fault(
    "VO-08",
    "The other host can",
    level=2,
    lasts="runtime",
    group="initiator",
    red=("C17",),
    green=(*BASE, *every(), "C06", "C08:blank", "C10"),
    hints=(
        "Another host can.",
        "Volumes have two sides. This is not the one that hands them out.",
        "`systemctl status iscsid`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop and mask the initiator of a compute node."""
    node, names = scene.pick(random, "compute"), " ".join(_UNITS)
    made = stopped(
        node,
        *_UNITS,
        service="iscsid",
        masked=True,
        explanation=f"iscsid of {node.name} and its socket are stopped and masked.",
    )
    mend = f"systemctl unmask --runtime {names}; systemctl start iscsid.socket"
    return replace(made, repair=(Typed(node=node.name, line=mend),))
