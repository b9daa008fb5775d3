"""GL-03: Glance's default store does not exist."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, corrected, every, restart


@fault(
    "GL-03",
    "The image service stays away",
    level=2,
    lasts="file",
    group="images",
    red=("C02:glance",),
    green=(*BASE, *every("glance")),
    hints=(
        "It does not start.",
        "Its log names a store.",
        "The identifiers in enabled_backends.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Name a default store that is none of Glance's."""
    node = scene.library(random).name
    return Drawn(
        node=node,
        service="glance",
        breaks=(
            Break(
                node=node,
                change=Ini(path="/etc/glance/glance-api.conf", values={"glance_store": {"default_backend": "file"}}),
                restart=("glance-api",),
                waits=False,
            ),
        ),
        explanation=f"[glance_store] default_backend of {node} is file; enabled_backends calls it local.",
        repair=(
            corrected(
                node,
                "/etc/glance/glance-api.conf",
                "glance_store",
                "s/^default_backend = file/default_backend = local/",
                ("glance-api",),
            ),
        ),
        cheat=(Typed(node=node, line=restart("glance-api")),),
    )
