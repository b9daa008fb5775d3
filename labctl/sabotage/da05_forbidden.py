"""DA-05: the web server lets nobody see the dashboard."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, dashboard, every


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
    change = Line(
        path="/etc/apache2/sites-available/horizon.conf",
        match=r"    Require all granted",
        line=r"    Require all denied",
    )
    sed = "s/Require all denied/Require all granted/"
    return dashboard(scene, random, change, sed, "{where} says `Require all denied`; it was granted.")
