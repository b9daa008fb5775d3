"""VO-10: volumes cannot be detached."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every


@fault(
    "VO-10",
    "In goes, out does not",
    level=3,
    lasts="file",
    group="iscsi",
    red=("C17",),
    green=(*BASE, *every(), "C08:blank", "C10"),
    hints=(
        "A volume goes in, and does not come out: 409.",
        "Cinder demands something of whoever takes an attachment away.",
        "[service_user] send_service_user_token on the compute node.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the compute node speak to Cinder in the user's name alone."""
    node, path = scene.pick(random, "compute").name, SERVICES["nova"].conf
    option = "send_service_user_token"
    return Drawn(
        node=node,
        service="nova-compute",
        breaks=(
            Break(
                node=node,
                change=Ini(path=path, values={"service_user": {option: False}}),
                restart=("nova-compute",),
            ),
        ),
        explanation=f"[service_user] {option} in {path} of {node} is false.",
        repair=(corrected(node, path, "service_user", f"s/^{option} = .*/{option} = true/", ("nova-compute",)),),
    )
