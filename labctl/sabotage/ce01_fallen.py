"""CE-01: one of Ceph's OSDs is away."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped


@fault(
    "CE-01",
    "Two copies of three",
    level=1,
    lasts="runtime",
    group="ceph",
    red=("C29:cluster",),
    green=(*BASE, *every(), "C29:volume"),
    hints=(
        "Everything works, and something is degraded.",
        "`ceph -s`; then `ceph osd tree`: who is down, and where?",
        "`systemctl status 'ceph-osd@*'` on that node",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop one OSD."""
    places = [node for node in scene.nodes("ceph-osd") for _ in scene.lab.spare(node.name)]
    if len(places) == 1:
        raise LookupError("the only copy would be gone")
    number = random.choice(range(len(places)))
    node, unit = places[number], f"ceph-osd@{number}"
    return stopped(node, unit, service="ceph-osd", explanation=f"{unit} of {node.name} is stopped.")
