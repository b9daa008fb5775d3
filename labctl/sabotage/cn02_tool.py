"""CN-02: libvirt is away."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, restart, stopped


@fault(
    "CN-02",
    "The agent is up, its tool is not",
    level=2,
    lasts="runtime",
    group="libvirt",
    red=("C04:services", "C10"),
    green=(*BASE, *every(), "C05"),
    hints=(
        "Boots fail on one host, and its agent runs.",
        "What does the agent work with?",
        "`virsh list` as the agent's user; `systemctl status libvirtd`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop and mask libvirt on a compute node."""
    node = scene.pick(random, "compute")
    units = ("libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket", "libvirtd.service")
    made = stopped(
        node,
        *units,
        service="libvirt",
        masked=True,
        explanation=f"libvirtd of {node.name} and its sockets are stopped and masked.",
    )
    names = " ".join(units)
    mend = f"systemctl unmask --runtime {names}; systemctl start libvirtd.socket; {restart('nova-compute')}"
    return replace(made, repair=(Typed(node=node.name, line=mend),))
