"""VO-09: the node of volumes refuses a host."""

from __future__ import annotations

from random import Random

from labctl.changes import Refusal
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every


@fault(
    "VO-09",
    "The counter is closed",
    level=2,
    lasts="runtime",
    group="iscsi",
    red=("C17",),
    green=(*BASE, *every(), "C06", "C08:blank", "C10"),
    hints=(
        "A volume is made, and does not get to the host.",
        "Reach port 3260 from the compute node.",
        "Who listens there, and who rejects?",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Refuse the port for volumes to a compute node."""
    node, other = scene.apart(random, "cinder-volume", "compute").name, scene.pick(random, "compute").name
    source = scene.address("compute", other)
    change = Refusal(source=source, port=3260, answer=random.choice(("reject", "drop")))
    return Drawn(
        node=node,
        service="iptables",
        breaks=(Break(node=node, change=change),),
        explanation=f"A rule of iptables on {node} refuses {source}, which is {other}, at port 3260.",
        repair=(Typed(node=node, line=change.removal),),
        alternative=(Typed(node=node, line="iptables -F INPUT"),),
    )
