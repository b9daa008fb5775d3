"""BA-01: a neighbour's name means another address."""

from __future__ import annotations

import re
from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-01",
    "One neighbour does not pick up",
    level=1,
    lasts="file",
    group="names",
    red=("B02",),
    green=("B01", "B03", "B10"),
    hints=(
        "Numbers work from this node. Do names?",
        "Compare what `getent hosts NAME` says here and on another node.",
        "Look at each address in /etc/hosts.",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Give one name of another node a wrong address in one node's /etc/hosts."""
    node = scene.pick(random)
    entry = random.choice([entry for entry in scene.lab.hosts if entry.names[0].split(".")[0] != node.name])
    right, name = entry.address, entry.names[0]
    wrong = scene.unused(right)
    return Drawn(
        node=node.name,
        service="names",
        breaks=(
            Break(
                node=node.name,
                change=Line(path="/etc/hosts", match=rf"{re.escape(str(right))}(\s.*)", line=rf"{wrong}\1"),
            ),
        ),
        explanation=f"/etc/hosts of {node.name} says that {name} is {wrong}; it is {right}: `getent hosts {name}`.",
        repair=(Typed(node=node.name, line=f"sed -i 's/^{wrong}\\b/{right}/' /etc/hosts"),),
        alternative=(
            Typed(
                node=node.name, line=f"sed -i '/^{wrong}\\b/d' /etc/hosts; printf '{right}\\t{name}\\n' >>/etc/hosts"
            ),
        ),
        cheat=(Typed(node=node.name, line=f"echo '{right} {name}' >>/etc/hosts"),),
    )
