"""KS-22: a compute node goes round by the street."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, every, misset

_OPTION = "valid_interfaces"


@fault(
    "KS-22",
    "Same door, other side of the street",
    level=3,
    lasts="file",
    group="nova-neutron",
    red=("C10",),
    green=(*BASE, *every(), "C04:services", "C05"),
    hints=(
        "One host waits for an address, very long.",
        "Which door of the service does it take?",
        "Interfaces of endpoints: this node has no card where that one is.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have a compute node ask for Neutron's public endpoint, to which it has no way."""
    node = scene.inward(random, "compute").name
    change = Ini(path=SERVICES["nova"].conf, values={"neutron": {_OPTION: "public"}})
    wrong = "is public; the node is not on that network, and its default is internal."
    return misset(node, change, f"{{/^{_OPTION} = public/d}}", "nova-compute", wrong=wrong, waits=False)
