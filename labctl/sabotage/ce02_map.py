"""CE-02: Ceph's monitor is away, or is another one's in a file."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, changed, every, restart, stopped

_FILE = "/etc/ceph/ceph.conf"
_VARIANTS = {"ceph-mon stopped": "stopped", "cinder elsewhere": "elsewhere"}


@fault(
    "CE-02",
    "Where is the map?",
    level=2,
    lasts="file",
    group="ceph",
    red=("C29:cluster", "C29:volume"),
    green=(*BASE, *every()),
    hints=(
        "Volumes of one type are made, those of the other get stuck.",
        "Whoever opens such a volume asks a monitor first. Does it run? At which address do they ask?",
        "`ss -ltn` on the monitor's node, and mon_host in /etc/ceph/ceph.conf of the node with the volume service.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop Ceph's monitor, or have Cinder ask for it at an address of nobody."""
    variant, how = scene.choose(random, {name: how for name, how in _VARIANTS.items() if scene.nodes("ceph-mon")})
    monitor = scene.nodes("ceph-mon")[0]
    if how == "stopped":
        unit = f"ceph-mon@{monitor.name}"
        return stopped(
            monitor,
            unit,
            service="ceph-mon",
            variant=variant,
            red=("C29:cluster",),
            explanation=f"{unit} is stopped.",
        )
    node, right, wrong = scene.pick(random, "cinder-volume"), scene.address("ceph-mon"), scene.free_address(random)
    same = "ceph-mon" in node.roles  # what is asked there reads the same file
    mend = f"sed -i 's/^mon_host = .*/mon_host = {right}/' {_FILE}"
    return changed(
        node.name,
        Line(path=_FILE, match=r"mon_host = .*", line=f"mon_host = {wrong}"),
        "cinder-volume",
        variant=variant,
        red=("C29:cluster", "C29:volume") if same else ("C29:volume",),
        waits=False,
        explanation=f"mon_host in {_FILE} of {node.name} is {wrong}; the monitor is at {right}.",
        repair=(Typed(node=node.name, line=f"{mend}; {restart('cinder-volume')}"),),
        cheat=(Typed(node=node.name, line=restart("cinder-volume")),),
    )
