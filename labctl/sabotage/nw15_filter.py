"""NW-15: a host filters nothing."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SWITCH_AGENT, every, misset


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
def draw(scene: Scene, random: Random) -> Drawn:  # noqa: ARG001 - nothing of it is left to chance
    """Have the Open vSwitch agent of a compute node filter nothing."""
    node, spec = scene.first("compute").name, scene.lab.openstack
    assert spec is not None
    change = Ini(path=SWITCH_AGENT, values={"securitygroup": {"firewall_driver": "noop"}})
    sed = f"s/^firewall_driver = noop/firewall_driver = {spec.firewall}/"
    return misset(node, change, sed, "neutron-openvswitch-agent", wrong=f"is noop; it was {spec.firewall}.")
