"""NW-07: a host does not know where its tunnels end."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SWITCH_AGENT, every, misset


@fault(
    "NW-07",
    "Same host fine, across nothing",
    level=2,
    lasts="file",
    group="switch-agent",
    red=("C05",),
    green=(*BASE, *every(), "C04:services"),
    hints=(
        "Within a host all is well, between hosts nothing is.",
        "Which address do tunnels end at?",
        "[ovs] local_ip against `ip address`.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Remove the address at which the tunnels of a compute node end."""
    if scene.lab.openstack is None or scene.lab.openstack.carrier == "vlan":
        raise LookupError("no tunnels there")
    node = scene.apart(random, "compute", "neutron").name
    right = f"local_ip = {scene.address('compute', node)}"
    change = Ini(path=SWITCH_AGENT, values={"ovs": {"local_ip": None}})
    wrong = f"is missing, without which there are no tunnels; it was {right}."
    return misset(node, change, rf"s/^\[ovs\]/&\n{right}/", "neutron-openvswitch-agent", wrong=wrong, waits=False)
