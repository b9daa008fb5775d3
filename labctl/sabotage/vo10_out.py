"""VO-10: volumes cannot be detached."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, every, misset


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
    option = "send_service_user_token"
    change = Ini(path=SERVICES["nova"].conf, values={"service_user": {option: False}})
    sed = f"s/^{option} = .*/{option} = true/"
    return misset(scene.pick(random, "compute").name, change, sed, "nova-compute", wrong="is false; it was true.")
