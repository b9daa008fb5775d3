"""BA-13: a clock is wrong."""

from __future__ import annotations

from random import Random

from labctl.changes import Clock
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-13",
    "A node of another time",
    level=2,
    lasts="runtime",
    group="time",
    red=("B05",),
    green=("B01", "B02", "B03", "B08"),
    hints=(
        "Everything runs everywhere. Do the nodes agree about now?",
        "Ask all nodes for the same thing at the same moment.",
        "`date -u` on each node.",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Set one node's clock off by an hour or more."""
    node = scene.pick(random)
    ahead = random.choice((-7200, -3700, 3700, 7200))
    return Drawn(
        node=node.name,
        service="clock",
        breaks=(Break(node=node.name, change=Clock(ahead=ahead)),),
        explanation=f"The clock of {node.name} is {abs(ahead)} s {'ahead' if ahead > 0 else 'behind'}. No time "
        "server can be reached from a lab, so nobody sets it right.",
        repair=(Typed(node=node.name, line=f"date -s '{-ahead:+d} seconds' >/dev/null"),),
        cheat=(Typed(node=node.name, line="systemctl restart chrony"),),
    )
