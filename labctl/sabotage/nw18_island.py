"""NW-18: a card is out of its bridge, or down."""

from __future__ import annotations

from functools import partial
from random import Random

from labctl.changes import Card, Change, SwitchPort
from labctl.plan.model import NodePlan
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, listed

_VARIANTS = {
    "compute port": ("br100", ("gateway",)),
    "compute link": ("", ("gateway",)),
    "gateway port": ("br100", ("compute",)),
    "gateway external": ("br-ex", ()),
}


@fault(
    "NW-18",
    "An island",
    level=2,
    lasts="file",
    group="wire",
    red=("C01", "C11", "C12"),
    green=(*BASE, *every(), "C04:services"),
    hints=(
        "One host is an island.",
        "Cards and bridges: what is up, and what is in?",
        "`ip link`; `ovs-vsctl show`, compared with another host.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Take the card of the tenants' networks, or of the public one, out of its bridge, or down."""
    variant, (bridge, _) = scene.choose(random, _VARIANTS, partial(_place, scene))
    node, card = _place(scene, variant)
    change: Change = SwitchPort(bridge=bridge, card=card) if bridge else Card(card=card, up=False)
    mend = f"ovs-vsctl add-port {bridge} {card}" if bridge else f"ip link set dev {card} up"
    red, green = ("C11",), (*BASE, *listed(scene), "C04:services")
    if bridge == "br-ex":  # it has the node's public address, too
        red, green = ("C12",), (*BASE, *listed(scene, *node.roles))
    if bridge == "br-ex" and "keystone" in node.roles:
        red, green = ("C01",), ("B01",)
    return Drawn(
        node=node.name,
        service="openvswitch" if bridge else f"network {card}",
        variant=variant,
        red=red,
        green=green,
        breaks=(Break(node=node.name, change=change),),
        explanation=f"{card} of {node.name} is no port of {bridge}." if bridge else f"{card} of {node.name} is down.",
        repair=(Typed(node=node.name, line=mend),),
    )


def _place(scene: Scene, variant: str) -> tuple[NodePlan, str]:
    """Return the node of a variant, and the card."""
    (bridge, others), spec = _VARIANTS[variant], scene.lab.openstack
    assert spec is not None
    node = scene.first(variant.split()[0], *others)
    return node, (scene.card(node, spec.public) if bridge == "br-ex" else scene.wire(node)).name
