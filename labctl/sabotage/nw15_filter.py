"""NW-15: a host filters nothing."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, corrected, every


@fault(
    "NW-15",
    "All works, too well",
    level=3,
    lasts="file",
    group="filter",
    red=("C14",),
    green=(*BASE, *every(), "C05", "C10"),
    hints=(
        "What works that must not?",
        "A port for which there is no rule answers.",
        "firewall_driver on the compute nodes.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the Open vSwitch agent of a compute node filter nothing."""
    node, path = scene.pick(random, "compute").name, "/etc/neutron/plugins/ml2/openvswitch_agent.ini"
    return Drawn(
        node=node,
        service="neutron-openvswitch-agent",
        breaks=(
            Break(
                node=node,
                change=Ini(path=path, values={"securitygroup": {"firewall_driver": "noop"}}),
                restart=("neutron-openvswitch-agent",),
            ),
        ),
        explanation=f"[securitygroup] firewall_driver in {path} of {node} is noop; it was openvswitch.",
        repair=(
            corrected(
                node,
                path,
                "securitygroup",
                "s/^firewall_driver = noop/firewall_driver = openvswitch/",
                ("neutron-openvswitch-agent",),
            ),
        ),
    )
