"""NW-22: nobody may run what hands out leases."""

from __future__ import annotations

from random import Random

from labctl.changes import Permissions
from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, changed, every, restart

_UNIT, _PATH = "neutron-dhcp-agent", "/usr/sbin/dnsmasq"


@fault(
    "NW-22",
    "The agent is up, its helper is not",
    level=3,
    lasts="file",
    group="dhcp",
    red=("C10", "C11"),
    green=(*BASE, *every(), "C04:services", "C05"),
    hints=(
        "The agent is up, and its log complains.",
        "Which program does it call to serve leases?",
        "Its mode.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Take the right to be run from the program that serves leases."""
    node = scene.pick(random, "gateway").name
    return changed(
        node,
        Permissions(path=_PATH, mode=0o644),
        _UNIT,
        explanation=f"{_PATH} of {node} has mode 0644: the agent cannot run it. It was 0755.",
        repair=(Typed(node=node, line=f"chmod 755 {_PATH}; {restart(_UNIT)}"),),
        alternative=(Typed(node=node, line=f"chmod a+x {_PATH}; {restart(_UNIT)}"),),
        cheat=(Typed(node=node, line=restart(_UNIT)),),
    )
