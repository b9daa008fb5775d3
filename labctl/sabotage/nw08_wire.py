"""NW-08: an Open vSwitch agent knows another network or bridge."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, SWITCH_AGENT, corrected, every

_VARIANTS = {
    "compute bridge": ("br100", "br101", "there is no such bridge, and the agent ends"),
    "compute network": ("private", "privat", "nobody can be plugged in there"),
}


@fault(
    "NW-08",
    "The agent is alive, the wire is silent",
    level=2,
    lasts="file",
    group="switch-agent",
    red=("C05",),
    green=(*BASE, *every(), "C04:services"),
    hints=(
        "Boots fail, or have no address, on some nodes.",
        "The agent is alive and refuses. Which physical networks does it know?",
        "Spelling in bridge_mappings, and `ovs-vsctl list-br`.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Misspell a physical network or a bridge in the mappings of an Open vSwitch agent."""
    variant, (find, put, what) = scene.choose(random, _VARIANTS, lambda name: scene.wire(scene.first(name.split()[0])))
    node = scene.pick(random, "compute").name
    path = SWITCH_AGENT
    return Drawn(
        node=node,
        service="neutron-openvswitch-agent",
        variant=variant,
        breaks=(
            Break(
                node=node,
                change=Respell(path=path, section="ovs", option="bridge_mappings", find=find, put=put),
                restart=("neutron-openvswitch-agent",),
                waits=False,
            ),
        ),
        explanation=f"[ovs] bridge_mappings in {path} of {node} says {put}; it is {find}: {what}.",
        repair=(corrected(node, path, "ovs", f"s/\\b{put}\\b/{find}/", ("neutron-openvswitch-agent",)),),
    )
