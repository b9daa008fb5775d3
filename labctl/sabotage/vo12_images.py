"""VO-12: Cinder asks the wrong place for images."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, corrected, every


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
    node = scene.pick(random, "cinder").name
    return Drawn(
        node=node,
        service="cinder-volume",
        breaks=(
            Break(
                node=node,
                change=Ini(
                    path="/etc/cinder/cinder.conf", values={"DEFAULT": {"glance_api_servers": "http://127.0.0.1:9922"}}
                ),
                restart=("cinder-volume",),
            ),
        ),
        explanation=f"[DEFAULT] glance_api_servers of cinder.conf on {node} leads nowhere.",
        repair=(
            corrected(node, "/etc/cinder/cinder.conf", "DEFAULT", "s/^glance_api_servers = .*/#&/", ("cinder-volume",)),
        ),
    )
