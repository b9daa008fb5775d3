"""MQ-03: the broker has another password."""

from __future__ import annotations

from random import Random

from labctl.changes import Broker
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every

_RIGHT = r"sed -sn 's|^transport_url *= *rabbit://openstack:\([^@]*\)@.*|\1|p'"
_FILES = "/etc/nova/nova.conf /etc/cinder/cinder.conf /etc/neutron/neutron.conf"


@fault(
    "MQ-03",
    "The broker knows nobody",
    level=2,
    lasts="data",
    group="broker",
    red=("C04:services", "C05", "C06"),
    green=(*BASE, *every("heat")),
    hints=(
        "Lists work, and whatever is to happen on another node hangs.",
        "Every service's log says the same word about the broker.",
        "`rabbitmqctl authenticate_user openstack` with the password of transport_url.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Give the services' user another password at the broker."""
    node = scene.pick(random, "rabbitmq").name
    return Drawn(
        node=node,
        service="rabbitmq",
        breaks=(Break(node=node, change=Broker(name="password openstack", values={"on record": False})),),
        explanation=f"The broker on {node} has another password of the user openstack than every transport_url.",
        repair=(Typed(node=node, line=f"rabbitmqctl -q change_password openstack $({_RIGHT} {_FILES} | head -1)"),),
    )
