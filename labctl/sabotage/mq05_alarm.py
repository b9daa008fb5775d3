"""MQ-05: the broker takes nothing for want of room."""

from __future__ import annotations

from random import Random

from labctl.changes import Broker
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every


@fault(
    "MQ-05",
    "Connected, and nothing moves",
    level=3,
    lasts="runtime",
    group="broker",
    red=("C04:services", "C05", "C06"),
    green=(*BASE, *every("heat")),
    hints=(
        "Lists work, all are connected, and nothing moves.",
        "What does the broker say about itself?",
        "`rabbitmqctl status`: alarms, and the limit behind them.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the broker want more free disk than there can be."""
    node = scene.pick(random, "rabbitmq").name
    return Drawn(
        node=node,
        service="rabbitmq",
        breaks=(Break(node=node, change=Broker(name="disk-limit", values={"limit": 2199023255552})),),
        explanation=f"The broker on {node} wants two tebibytes of free disk, so it takes no message: an alarm.",
        repair=(Typed(node=node, line="rabbitmqctl -q set_disk_free_limit 50MB"),),
    )
