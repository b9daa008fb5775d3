"""DB-03: a service's account in the database is locked."""

from __future__ import annotations

from random import Random

from labctl.changes import Account
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, every, listed, restart

_VARIANTS = SERVICES


@fault(
    "DB-03",
    "One service says 500, no file changed",
    level=2,
    lasts="data",
    group="database-account",
    red=("C01", *every()),
    green=("B01", *every()),
    hints=(
        "One API says 500, and its configuration is that of yesterday.",
        "Its log names user and host of the database login that failed.",
        "`SHOW CREATE USER` in the database.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Lock the account of one service in the database, and put out who is in by it."""
    name, service = scene.choose(random, _VARIANTS)
    node = scene.nodes("mariadb")[0].name
    keystone = name == "keystone"
    return Drawn(
        node=node,
        service="mariadb",
        variant=name,
        red=("C01",) if keystone else (f"C03:{name}",),
        green=("B01",) if keystone else (*BASE, *listed(scene, name)),
        breaks=(Break(node=node, change=Account(user=name)),),
        explanation=f"The account '{name}'@'%' of the database on {node} is locked.",
        repair=(Typed(node=node, line=f"""mariadb -e "ALTER USER '{name}'@'%' ACCOUNT UNLOCK" """.strip()),),
        cheat=(Typed(node=scene.nodes(name)[0].name, line=restart(service.api)),),
    )
