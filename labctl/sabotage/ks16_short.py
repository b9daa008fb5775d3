"""KS-16: tokens are good for seconds."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import SERVICES, misset, restart


@fault(
    "KS-16",
    "Out of sight, out of mind",
    level=2,
    lasts="file",
    group="keystone",
    red=("C01",),
    green=("B01",),
    hints=(
        "The dashboard forgets you.",
        "When does your token end?",
        "[token] expiration",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have tokens end after seconds."""
    node = scene.pick(random, "keystone").name
    return misset(
        node,
        Ini(path=SERVICES["keystone"].conf, values={"token": {"expiration": 5}}),
        "s/^expiration = 5$/expiration = 86400/",
        "keystone",
        wrong="is 5 seconds; it was a day.",
        cheat=(Typed(node=node, line=restart("keystone")),),
    )
