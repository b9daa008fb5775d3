"""VO-12: Cinder asks the wrong place for images."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, every, misset


@fault(
    "VO-12",
    "Blank ones only",
    level=2,
    lasts="file",
    group="cinder",
    red=("C08:image",),
    green=(*BASE, *every(), "C06", "C08:blank"),
    hints=(
        "An empty volume is made, one from an image is not.",
        "Where does Cinder get images from?",
        "glance_api_servers in cinder.conf.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have Cinder ask for images at a port where nobody is."""
    change = Ini(path=SERVICES["cinder"].conf, values={"DEFAULT": {"glance_api_servers": "http://127.0.0.1:9922"}})
    right = f"http://{scene.address('glance')}:9292"
    sed = f"s|^glance_api_servers = .*|glance_api_servers = {right}|"
    return misset(
        scene.pick(random, "cinder-volume").name, change, sed, "cinder-volume", wrong=f"leads nowhere; it was {right}."
    )
