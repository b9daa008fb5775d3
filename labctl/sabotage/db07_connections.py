"""DB-07: the database takes ten connections, no more."""

from __future__ import annotations

from random import Random

from labctl.changes import Crowd
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import every


@fault(
    "DB-07",
    "Try again, it may work",
    level=3,
    lasts="runtime",
    group="database",
    red=("C01", *every()),
    green=("B01",),
    hints=(
        "It fails sometimes. Try ten times.",
        "Which limit do all services share?",
        "`SHOW GLOBAL STATUS LIKE 'Max_used%'` and `SHOW VARIABLES LIKE 'max_conn%'`.",
    ),
    stages=("installed",),
    pool=False,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the database take ten connections, for which all services fight."""
    node = scene.pick(random, "mariadb").name
    return Drawn(
        node=node,
        service="mariadb",
        breaks=(Break(node=node, change=Crowd(most=10)),),
        explanation=f"The variable max_connections of the database on {node} is 10; it was 500.",
        repair=(Typed(node=node, line="until mariadb -e 'SET GLOBAL max_connections = 500'; do sleep 1; done"),),
        alternative=(Typed(node=node, line="systemctl restart mariadb"),),
    )
