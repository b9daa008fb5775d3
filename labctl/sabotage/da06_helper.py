"""DA-06: memcached is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped


@fault(
    "DA-06",
    "A small helper is away",
    level=2,
    lasts="runtime",
    group="dashboard",
    red=("C20:login",),
    green=(*BASE, *every()),
    hints=(
        "The command line works, if slowly.",
        "Where does the dashboard keep sessions?",
        "Port 11211 of its node.",
    ),
    stages=("installed",),
    pool=False,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop memcached on the dashboard's node."""
    node = scene.pick(random, "horizon")
    if "memcached" not in node.roles:
        raise LookupError("no memcached there")
    return stopped(
        node,
        "memcached",
        service="memcached",
        explanation=f"memcached of {node.name} is stopped: sessions are kept there, and tokens that were seen.",
    )
