"""CN-15: Nova is not let in to libvirt."""

from __future__ import annotations

from random import Random

from labctl.changes import Member
from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, changed, every, restart

_UNIT = "nova-compute"


@fault(
    "CN-15",
    "It ended, and all is well",
    level=2,
    lasts="file",
    group="nova-compute",
    red=("C04:services",),
    green=(*BASE, *every(), "C05"),
    hints=(
        "One host is down, and systemd sees no failure.",
        "libvirt runs, and root gets in. Who else must?",
        "Ask libvirt as user nova; `id nova`.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Take Nova's user out of libvirt's group on a compute node."""
    node = scene.pick(random, "compute").name
    return changed(
        node,
        Member(group="libvirt", user="nova"),
        _UNIT,
        waits=False,
        explanation=f"On {node} the user nova is not in the group libvirt, so libvirt lets {_UNIT} not in.",
        repair=(Typed(node=node, line=f"gpasswd -a nova libvirt; {restart(_UNIT)}"),),
        alternative=(Typed(node=node, line=f"usermod -aG libvirt nova; {restart(_UNIT)}"),),
        cheat=(Typed(node=node, line=restart(_UNIT)),),
    )
