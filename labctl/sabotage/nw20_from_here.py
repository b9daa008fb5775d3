"""NW-20: one node takes another name for somebody else."""

from __future__ import annotations

import re
from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every

_VARIANTS = {"neutron": ("nova", "C10"), "horizon": ("glance", "C20:pages")}


@fault(
    "NW-20",
    "Only from here",
    level=2,
    lasts="file",
    group="names",
    red=("B02", "C10", "C20:pages"),
    green=(*BASE, *every()),
    hints=(
        "Only one node has the problem.",
        "Resolve the name on two nodes.",
        "`getent hosts`, and what stands in /etc/hosts twice.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have a node that uses names take its neighbour's for an address of nobody."""
    fitting = {role: each for role, each in _VARIANTS.items() if not set(scene.nodes(each[0])) & set(scene.nodes(role))}
    variant, (role, red) = scene.choose(random, fitting)
    node, name = scene.nodes(variant)[0].name, scene.nodes(role)[0].name
    full = f"{name}.{scene.lab.domain}"
    right = scene.named(full)
    wrong = scene.unused(right)
    return Drawn(
        node=node,
        service="names",
        variant=variant,
        red=("B02", red),
        breaks=(
            Break(
                node=node,
                change=Line(path="/etc/hosts", match=rf"{re.escape(str(right))}(\s.*)", line=rf"{wrong}\1"),
            ),
        ),
        explanation=f"/etc/hosts of {node} says that {full} is {wrong}; it is {right}.",
        repair=(Typed(node=node, line=f"sed -i 's/^{wrong}\\b/{right}/' /etc/hosts"),),
    )
