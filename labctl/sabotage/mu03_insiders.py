"""MU-03: graphs are for their own node alone."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, changed, every, restart

_FILE = "/etc/apache2/conf-available/munin.conf"


@fault(
    "MU-03",
    "Graphs for insiders",
    level=1,
    lasts="file",
    group="graphs",
    red=("C28:graphs",),
    green=(*BASE, *every(), "C28:values"),
    hints=(
        "The dashboard opens, the page beside it does not.",
        "`curl -I` on the node, and from elsewhere: two answers.",
        "Who may look, says the file of that page among Apache's.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have Apache show the graphs to their own node alone, as the package does."""
    node = scene.pick(random, "munin").name
    mend = f"sed -i 's/Require local/Require all granted/' {_FILE}"
    return changed(
        node,
        Line(path=_FILE, match="( *)Require all granted", line=r"\1Require local"),
        "apache2",
        explanation=f"{_FILE} of {node} says `Require local`: Apache answers 403 to all others.",
        repair=(Typed(node=node, line=f"{mend}; {restart('apache2')}"),),
        alternative=(Typed(node=node, line=f"{mend}; systemctl reload apache2"),),
        cheat=(Typed(node=node, line=restart("apache2")),),
    )
