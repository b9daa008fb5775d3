"""BA-02: a neighbour's name is unknown."""

from __future__ import annotations

import re
from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-02",
    "A neighbour that nobody here has heard of",
    level=1,
    lasts="file",
    group="names",
    red=("B02",),
    green=("B01", "B03", "B10"),
    hints=(
        "The other node answers when you use its number.",
        "Which names does this node know, and where from?",
        "A line is missing in /etc/hosts; another node's copy has it.",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Remove one node's entry from another node's /etc/hosts."""
    node = scene.pick(random)
    entry = random.choice([entry for entry in scene.lab.hosts if entry.names[0].split(".")[0] != node.name])
    right, name = entry.address, entry.names[0]
    return Drawn(
        node=node.name,
        service="names",
        breaks=(
            Break(
                node=node.name,
                change=Line(path="/etc/hosts", match=rf"{re.escape(str(right))}\s.*", line=None),
            ),
        ),
        explanation=f"/etc/hosts of {node.name} has no line for {right} {name}.",
        repair=(Typed(node=node.name, line=f"echo '{right} {name}' >>/etc/hosts"),),
        alternative=(Typed(node=node.name, line=f"sed -i '1i {right} {name}' /etc/hosts"),),
    )
