"""BA-03: names are asked of DNS alone."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-03",
    "Numbers work, names do not",
    level=2,
    lasts="file",
    group="names",
    red=("B02",),
    green=("B01", "B03", "B10"),
    hints=(
        "Every entry of /etc/hosts is right, and none is used.",
        "Who decides where names are looked up, and in which order?",
        "The line `hosts:` of /etc/nsswitch.conf.",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have one node look names up in DNS alone, which does not know the lab's inner networks."""
    node = scene.pick(random)
    return Drawn(
        node=node.name,
        service="names",
        breaks=(
            Break(
                node=node.name,
                change=Line(path="/etc/nsswitch.conf", match=r"hosts:(\s+)files dns.*", line=r"hosts:\1dns"),
            ),
        ),
        explanation=f"/etc/nsswitch.conf of {node.name} asks DNS for host names and no files: /etc/hosts has no say.",
        repair=(Typed(node=node.name, line="sed -i 's/^hosts:.*/hosts:          files dns/' /etc/nsswitch.conf"),),
        alternative=(Typed(node=node.name, line="sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf"),),
        cheat=(Typed(node=node.name, line="sed -i 's/^hosts:.*/hosts: dns files/' /etc/nsswitch.conf"),),
    )
