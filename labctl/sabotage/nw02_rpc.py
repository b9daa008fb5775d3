"""NW-02: Neutron's RPC server is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped


@fault(
    "NW-02",
    "All agents died at once",
    level=2,
    lasts="runtime",
    group="neutron-rpc",
    red=("C05",),
    green=(*BASE, *every(), "C04:services"),
    hints=(
        "The agents run, and Neutron takes all of them for dead.",
        "Who listens to what agents report? It is not the API.",
        "`systemctl status neutron-rpc-server`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop the server that Neutron's agents report to."""
    node = scene.pick(random, "neutron")
    return stopped(
        node,
        "neutron-rpc-server",
        service="neutron-rpc-server",
        explanation=f"neutron-rpc-server of {node.name} is stopped. The agents' reports are heard by nobody.",
    )
