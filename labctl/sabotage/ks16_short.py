"""KS-16: tokens are good for seconds."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import corrected, restart


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
    return Drawn(
        node=node,
        service="keystone",
        breaks=(
            Break(
                node=node,
                change=Ini(path="/etc/keystone/keystone.conf", values={"token": {"expiration": 5}}),
                restart=("keystone",),
            ),
        ),
        explanation=f"[token] expiration of keystone.conf on {node} is 5 seconds; it was a day.",
        repair=(
            corrected(
                node, "/etc/keystone/keystone.conf", "token", "s/^expiration = 5$/expiration = 86400/", ("keystone",)
            ),
        ),
        cheat=(Typed(node=node, line=restart("keystone")),),
    )
