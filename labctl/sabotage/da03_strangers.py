"""DA-03: the dashboard answers only to one name."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SETTINGS, dashboard, every


@fault(
    "DA-03",
    "400 for strangers",
    level=1,
    lasts="file",
    group="dashboard",
    red=("C20:login",),
    green=(*BASE, *every()),
    hints=(
        "The command line works, and the page says 400.",
        "On its own node, by another name, the page appears.",
        "Which file of settings was read last? ALLOWED_HOSTS",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the dashboard answer to the name localhost alone."""
    change = Line(path=SETTINGS, match=r"ALLOWED_HOSTS = .*", line='ALLOWED_HOSTS = ["localhost"]')
    sed = 's/^ALLOWED_HOSTS = .*/ALLOWED_HOSTS = ["*"]/'
    return dashboard(scene, random, change, sed, "ALLOWED_HOSTS in {where} is localhost alone; it was every name.")
