"""DA-01: the dashboard's web server is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped


@fault(
    "DA-01",
    "No page",
    level=1,
    lasts="runtime",
    group="dashboard",
    red=("C02:dashboard",),
    green=(*BASE, *every()),
    hints=(
        "The command line works.",
        "Is anything listening on port 80?",
        "`systemctl status apache2`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop the dashboard's web server."""
    node = scene.pick(random, "horizon")
    return stopped(
        node,
        "apache2",
        service="apache2",
        explanation=f"apache2 of {node.name} is stopped. Port 80 is closed.",
    )
