"""DB-08: the database may be read alone."""

from __future__ import annotations

from random import Random

from labctl.changes import Variable
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every


@fault(
    "DB-08",
    "Reading is allowed",
    level=2,
    lasts="runtime",
    group="database",
    red=("C09", "C07:upload", "C08:blank"),
    green=(*BASE, *every()),
    hints=(
        "Lists and logins work. What about anything new?",
        "Every service fails in the same way: a log says why.",
        "`SELECT @@read_only` in the database.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the database refuse to write."""
    node = scene.pick(random, "mariadb").name
    return Drawn(
        node=node,
        service="mariadb",
        breaks=(Break(node=node, change=Variable(name="read_only", value=1)),),
        explanation=f"The variable read_only of the database on {node} is 1.",
        repair=(Typed(node=node, line="mariadb -e 'SET GLOBAL read_only = 0'"),),
        alternative=(Typed(node=node, line="systemctl restart mariadb"),),
    )
