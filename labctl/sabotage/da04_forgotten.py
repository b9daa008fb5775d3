"""DA-04: the dashboard keeps sessions nowhere."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SETTINGS, dashboard, every


@fault(
    "DA-04",
    "Logged in and forgotten",
    level=2,
    lasts="file",
    group="dashboard",
    red=("C20:login",),
    green=(*BASE, *every()),
    hints=(
        "The form appears, and a login leads nowhere.",
        "Where does the dashboard keep sessions?",
        "CACHES in the settings that were read last, against `ss -ltn`.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the dashboard keep its sessions at a port where nobody is."""
    change = Line(path=SETTINGS, match=r"(.*\"LOCATION\": .*):11211(.*)", line=r"\1:11212\2")
    return dashboard(
        scene, random, change, "s/:11212/:11211/", "CACHES in {where} has port 11212; memcached is at 11211."
    )
