"""MU-01: a node tells the master of graphs nothing."""

from __future__ import annotations

import re
from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, changed, every, restart, stopped

_FILE = "/etc/munin/munin-node.conf"
_UNIT = "munin-node"
_VARIANTS = {"munin-node stopped": "stopped", "munin-node stranger": "stranger"}


@fault(
    "MU-01",
    "One curve ends",
    level=1,
    lasts="file",
    group="graphs",
    red=("C28:values",),
    green=(*BASE, *every()),
    hints=(
        "The graphs of one node go no further.",
        "Ask it as the master does: port 4949, `fetch load`. Does it answer, hang up, or refuse?",
        "`journalctl -u munin-node`, /var/log/munin/munin-node.log, and who may ask: `allow` in its file.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop what tells one node's values, or have it take another node for the master."""
    variant, how = scene.choose(random, _VARIANTS)
    node = scene.pick(random, "munin-node")
    if how == "stopped":
        explanation = f"{_UNIT} of {node.name} is stopped."
        return stopped(node, _UNIT, service=_UNIT, variant=variant, explanation=explanation)
    right, wrong = (re.escape(each) for each in (scene.address("munin"), scene.free_address(random)))
    typed = right.replace("\\", "\\\\")
    lines = (f"/127/!s/^allow .*/allow ^{typed}$/", f"$a allow ^{typed}$")
    mended, added = (Typed(node=node.name, line=f"sed -i '{line}' {_FILE}; {restart(_UNIT)}") for line in lines)
    return changed(
        node.name,
        Line(path=_FILE, match=re.escape(f"allow ^{right}$"), line=f"allow ^{wrong}$".replace("\\", "\\\\")),
        _UNIT,
        variant=variant,
        explanation=f"{_FILE} of {node.name} lets {wrong} ask; the master is {right}.",
        repair=(mended,),
        alternative=(added,),
        cheat=(Typed(node=node.name, line=restart(_UNIT)),),
    )
