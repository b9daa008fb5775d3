"""NW-23: Neutron cannot report ports to Nova."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, every, misset


@fault(
    "NW-23",
    "Five minutes, then ERROR",
    level=3,
    lasts="file",
    group="neutron-nova",
    red=("C10",),
    green=(*BASE, *every(), "C05", "C09"),
    hints=(
        "Boots fail after exactly the plug time-out.",
        "Who tells Nova that a port is up, and as whom?",
        "[nova] in neutron.conf: try a login with it.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Put a letter too many into the password with which Neutron reports to Nova."""
    neutron = SERVICES["neutron"]
    change = Respell(path=neutron.conf, section="nova", option="password", find="^(...)", put=r"\1x")
    return misset(
        scene.pick(random, "neutron").name,
        change,
        r"s/^\(password *= *...\)x/\1/",
        *neutron.units,
        wrong="has an x too many, its letter number 4.",
    )
