"""HO-02: a node refuses one port to another."""

from __future__ import annotations

from random import Random

from labctl.changes import Refusal
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, listed

_VARIANTS = {
    "nova database": ("mariadb", 3306, "C03:nova"),
    "cinder identity": ("keystone", 5000, "C03:cinder"),
    "compute broker": ("rabbitmq", 5672, "C04:services"),
    "compute network": ("neutron", 9696, "C10"),
    "gateway metadata": ("nova", 8775, "C11"),
}


@fault(
    "HO-02",
    "These two do not talk",
    level=2,
    lasts="runtime",
    group="packet-filter",
    red=("C03:nova", "C03:cinder", "C04:services", "C10", "C11"),
    green=BASE,
    hints=(
        "Only one pair of machines cannot talk.",
        "The service runs, the port listens. From here, too?",
        "`iptables -nvL INPUT` where the port is.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Refuse one port of a node to another node that needs it."""
    fitting = {
        name: each
        for name, each in _VARIANTS.items()
        if scene.nodes(each[0]) and not set(scene.nodes(each[0])) & set(scene.nodes(name.split()[0]))
    }
    variant, (role, port, red) = scene.choose(random, fitting)
    node, other = scene.nodes(role)[0].name, scene.first(variant.split()[0])
    source = scene.address(variant.split()[0], other.name)
    change = Refusal(source=source, port=port)
    return Drawn(
        node=node,
        service="iptables",
        variant=variant,
        red=(red,),
        green=(*BASE, *listed(scene, *other.roles)),
        breaks=(Break(node=node, change=change),),
        explanation=f"A rule of iptables on {node} rejects {source}, which is {other.name}, at port {port}.",
        repair=(Typed(node=node, line=change.removal),),
        alternative=(Typed(node=node, line="iptables -F INPUT"),),
    )
