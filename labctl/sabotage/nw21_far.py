"""NW-21: the database's node takes the compute nodes for strangers."""

from __future__ import annotations

from random import Random

from netaddr import IPNetwork

from labctl.changes import Card
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every


@fault(
    "NW-21",
    "Some neighbours are far away",
    level=3,
    lasts="runtime",
    group="cards",
    red=("B03", "C04:services"),
    green=(*BASE, *every(), "C06"),
    hints=(
        "Some nodes, not others.",
        "`ip route get` one that answers, and one that does not.",
        "The prefix.",
    ),
    stages=("installed",),
    pool=False,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Narrow the mask of the inner card of the database's node, so that the compute nodes are outside."""
    node, spec = scene.apart(random, "mariadb", "compute"), scene.lab.openstack
    assert spec is not None
    card = scene.card(node, spec.internal)
    near = IPNetwork(f"{card.address}/28")
    if card.dhcp or any(scene.address("compute", each.name) in near for each in scene.nodes("compute")):
        raise LookupError("no compute node would be outside")
    wrong, right = f"{card.address}/28", f"{card.address}/{card.prefix}"
    swap = f"ip addr del {wrong} dev {card.name}; ip addr add {right} brd + dev {card.name}"
    return Drawn(
        node=node.name,
        service=f"network {card.network}",
        breaks=(Break(node=node.name, change=Card(card=card.name, address=wrong)),),
        explanation=f"{card.name} of {node.name} has prefix 28, not {card.prefix}: the compute nodes are outside.",
        repair=(Typed(node=node.name, line=swap),),
    )
