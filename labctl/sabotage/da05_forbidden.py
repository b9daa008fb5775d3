"""DA-05: the web server lets nobody see the dashboard."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, restart

_MEND = "sed -i 's/Require all denied/Require all granted/'"


@fault(
    "DA-05",
    "Forbidden",
    level=1,
    lasts="file",
    group="dashboard",
    red=("C20:login",),
    green=(*BASE, *every()),
    hints=(
        "The command line works, and the page says 403.",
        "403 comes from the web server itself.",
        "Which site is enabled, and what does it require?",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the web server deny the dashboard to everybody."""
    node, path = scene.pick(random, "horizon").name, "/etc/apache2/sites-available/horizon.conf"
    return Drawn(
        node=node,
        service="apache2",
        breaks=(
            Break(
                node=node,
                change=Line(path=path, match=r"    Require all granted", line=r"    Require all denied"),
                restart=("apache2",),
            ),
        ),
        explanation=f"{path} of {node} says `Require all denied`; it was granted.",
        repair=(Typed(node=node, line=f"{_MEND} {path}; {restart('apache2')}"),),
        cheat=(Typed(node=node, line=restart("apache2")),),
    )
