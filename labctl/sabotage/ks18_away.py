"""KS-18: Keystone is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import stopped


@fault(
    "KS-18",
    "Nobody can log in",
    level=1,
    lasts="runtime",
    group="keystone",
    red=("C01",),
    green=("B01",),
    hints=(
        "No login works at all.",
        "Is anything listening on port 5000?",
        "`systemctl status keystone`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop Keystone."""
    node = scene.pick(random, "keystone")
    return stopped(
        node,
        "keystone",
        service="keystone",
        explanation=f"keystone of {node.name} is stopped. Other APIs follow when their caches run out.",
    )
