"""HO-06: a node of the dashboard asks DNS alone for names."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, changed, every, restart

_PATH = "/etc/nsswitch.conf"


@fault(
    "HO-06",
    "Numbers work, names do not",
    level=3,
    lasts="file",
    group="names",
    red=("B02", "C20:pages"),
    green=(*BASE, *every()),
    hints=(
        "Addresses work, names do not, on one node.",
        "`getent hosts NAME` there and elsewhere.",
        "Who is asked for names, and in which order? nsswitch.conf",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the dashboard's node look names up in DNS alone, which does not know the lab's nodes."""
    node = scene.pick(random, "horizon")
    units = ("apache2", *(("heat-engine",) if "heat" in node.roles else ()))
    sed, again = "sed -i 's/^hosts:.*/hosts:          {}/' " + _PATH, restart(*units)
    return changed(
        node.name,
        Line(path=_PATH, match=r"hosts:(\s+)files dns.*", line=r"hosts:\1dns"),
        *units,
        service="names",
        explanation=f"{_PATH} of {node.name} asks DNS for host names and no files: /etc/hosts has no say.",
        repair=(Typed(node=node.name, line=f"{sed.format('files dns')}; {again}"),),
        alternative=(Typed(node=node.name, line=f"{sed.format('files')}; {again}"),),
    )
