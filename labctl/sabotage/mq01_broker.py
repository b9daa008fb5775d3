"""MQ-01: the broker is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped


@fault(
    "MQ-01",
    "Reading works, acting does not",
    level=1,
    lasts="runtime",
    group="broker",
    red=("C04:services", "C05", "C06"),
    green=(*BASE, *every("heat")),
    hints=(
        "Lists work, and whatever is to happen on another node hangs.",
        "Which component carries orders between services?",
        "Port 5672 on its node.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop the message broker."""
    node = scene.pick(random, "rabbitmq")
    return stopped(
        node,
        "rabbitmq-server",
        service="rabbitmq",
        explanation=f"rabbitmq-server of {node.name} is stopped. Agents and compute nodes go down one by one.",
    )
