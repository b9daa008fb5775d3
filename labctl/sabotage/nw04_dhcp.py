"""NW-04: the DHCP agent is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped


@fault(
    "NW-04",
    "ACTIVE is far away",
    level=2,
    lasts="runtime",
    group="dhcp",
    red=("C05",),
    green=(*BASE, *every(), "C04:services"),
    hints=(
        "Servers wait long, and have no address inside.",
        "Who hands out leases, and on which node?",
        "`openstack network agent list`; `pgrep dnsmasq`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop the DHCP agent, whose dnsmasq ends with it."""
    node = scene.pick(random, "gateway")
    return stopped(
        node,
        "neutron-dhcp-agent",
        service="neutron-dhcp-agent",
        explanation=f"neutron-dhcp-agent of {node.name} is stopped. New ports wait for it.",
    )
