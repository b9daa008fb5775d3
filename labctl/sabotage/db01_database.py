"""DB-01: the database is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import stopped


@fault(
    "DB-01",
    "Everything says 500",
    level=1,
    lasts="runtime",
    group="database",
    red=("C01",),
    green=("B01",),
    hints=(
        "Every service has the same trouble at once.",
        "What do all of them ask before they answer anything?",
        "`systemctl status mariadb` on its node.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop the database."""
    node = scene.pick(random, "mariadb")
    return stopped(
        node,
        "mariadb",
        service="mariadb",
        explanation=f"mariadb of {node.name} is stopped. All services answer 500, and their ports are open.",
    )
