"""NW-16: a router forwards nothing."""

from __future__ import annotations

from random import Random

from labctl.changes import RouterSetting
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every

_SETTING = "net.ipv4.ip_forward"
_MEND = f"ip netns exec $(ip netns list | grep -o 'qrouter-[^ ]*') sysctl -w {_SETTING}=1"


@fault(
    "NW-16",
    "A perfect router",
    level=3,
    lasts="runtime",
    group="router",
    red=("C12", "C16"),
    green=(*BASE, *every(), "C05", "C10"),
    hints=(
        "What the API shows of it is perfect. Look at the way of the data.",
        "Packets enter, and do not leave.",
        "sysctl within the namespace of the router.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Switch forwarding off in the namespace of demo's router."""
    node = scene.pick(random, "gateway").name
    return Drawn(
        node=node,
        service="neutron-l3-agent",
        breaks=(Break(node=node, change=RouterSetting(router="router1", setting=_SETTING, value="0")),),
        explanation=f"{_SETTING} is 0 within the namespace of router1 on {node}.",
        repair=(Typed(node=node, line=_MEND),),
    )
