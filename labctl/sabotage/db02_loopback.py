"""DB-02: the database listens to its own node alone."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import corrected, restart


@fault(
    "DB-02",
    "It runs. For whom?",
    level=2,
    lasts="file",
    group="database",
    red=("C01",),
    green=("B01",),
    hints=(
        "The database runs, and its own client gets in.",
        "Listening is not the same as reachable.",
        "`ss -ltn`: which address has port 3306? Which file says so last?",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the database listen on its own node's loopback alone."""
    node = scene.pick(random, "mariadb").name
    return Drawn(
        node=node,
        service="mariadb",
        breaks=(
            Break(
                node=node,
                change=Ini(
                    path="/etc/mysql/mariadb.conf.d/60-lab.cnf",
                    values={"mysqld": {"bind-address": "127.0.0.1"}},
                    dialect="plain",
                ),
                restart=("mariadb",),
            ),
        ),
        explanation=f"bind-address in 60-lab.cnf of {node} is 127.0.0.1, so nobody gets in from outside.",
        repair=(
            corrected(
                node,
                "/etc/mysql/mariadb.conf.d/60-lab.cnf",
                "mysqld",
                "s/^bind-address = .*/bind-address = 0.0.0.0/",
                ("mariadb",),
            ),
        ),
        cheat=(Typed(node=node, line=restart("mariadb")),),
    )
