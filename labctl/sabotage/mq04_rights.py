"""MQ-04: the services' user may do nothing at the broker."""

from __future__ import annotations

from random import Random

from labctl.changes import Broker
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every


@fault(
    "MQ-04",
    "Let in, and shown out",
    level=2,
    lasts="data",
    group="broker",
    red=("C04:services", "C05", "C06"),
    green=(*BASE, *every("heat")),
    hints=(
        "Lists work, and whatever is to happen on another node hangs.",
        "The login at the broker is right. What comes after it?",
        "`rabbitmqctl list_permissions`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Take the rights of the services' user at the broker away."""
    node = scene.pick(random, "rabbitmq").name
    return Drawn(
        node=node,
        service="rabbitmq",
        breaks=(Break(node=node, change=Broker(name="permissions openstack", values={"permissions": None})),),
        explanation=f"The user openstack has no rights in the virtual host / of the broker on {node}.",
        repair=(Typed(node=node, line="rabbitmqctl -q set_permissions -p / openstack '.*' '.*' '.*'"),),
    )
