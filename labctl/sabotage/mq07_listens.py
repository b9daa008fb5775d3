"""MQ-07: the broker listens to its own node alone."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, restart


@fault(
    "MQ-07",
    "It listens. Where?",
    level=2,
    lasts="file",
    group="broker",
    red=("C04:services", "C05", "C06"),
    green=(*BASE, *every("heat")),
    hints=(
        "Lists work, and whatever is to happen on another node hangs.",
        "Try 5672 from two nodes, by two addresses.",
        "Listening, but where? rabbitmq-env.conf",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the broker listen on its own node's loopback alone."""
    node, path = scene.pick(random, "rabbitmq").name, "/etc/rabbitmq/rabbitmq-env.conf"
    return Drawn(
        node=node,
        service="rabbitmq",
        breaks=(
            Break(
                node=node,
                change=Line(path=path, match=r"NODE_IP_ADDRESS=.*", line="NODE_IP_ADDRESS=127.0.0.1", add=True),
                restart=("rabbitmq-server",),
            ),
        ),
        explanation=f"{path} of {node} says NODE_IP_ADDRESS=127.0.0.1; services ask for the node's own address.",
        repair=(Typed(node=node, line=f"sed -i /^NODE_IP_ADDRESS/d {path}; {restart('rabbitmq-server')}"),),
    )
