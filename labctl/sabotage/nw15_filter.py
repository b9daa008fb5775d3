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
    node = scene.first("compute").name
    change = Ini(path=SWITCH_AGENT, values={"securitygroup": {"firewall_driver": "noop"}})
    sed = "s/^firewall_driver = noop/firewall_driver = openvswitch/"
    return misset(node, change, sed, "neutron-openvswitch-agent", wrong="is noop; it was openvswitch.")
