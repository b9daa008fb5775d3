"""GL-04: Glance takes everybody for a stranger."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every, restart


@fault(
    "GL-04",
    "Everybody is a stranger",
    level=2,
    lasts="file",
    group="images",
    red=("C03:glance",),
    green=(*BASE, *every("glance")),
    hints=(
        "Images say 403 to everybody, the administrator too.",
        "A good token and a nonsense one get the same answer. Who looks at tokens?",
        "[paste_deploy] flavor",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Take the check of tokens out of Glance's pipeline."""
    node, service = scene.pick(random, "glance").name, SERVICES["glance"]
    return Drawn(
        node=node,
        service="glance",
        breaks=(
            Break(
                node=node,
                change=Ini(path=service.conf, values={"paste_deploy": {"flavor": None}}),
                restart=("glance-api",),
            ),
        ),
        explanation=f"{service.conf} of {node} has no [paste_deploy] flavor; it was keystone.",
        repair=(
            corrected(
                node, service.conf, "paste_deploy", r"s/^\[paste_deploy\]/&\nflavor = keystone/", ("glance-api",)
            ),
        ),
        cheat=(Typed(node=node, line=restart("glance-api")),),
    )
