"""GL-04: Glance lets everybody in."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every, restart


@fault(
    "GL-04",
    "Too friendly",
    level=3,
    lasts="file",
    group="images",
    red=("C03:glance",),
    green=(*BASE, *every("glance")),
    hints=(
        "What works that must not?",
        "Ask for images with a token that nobody gave out.",
        "[paste_deploy] flavor",
    ),
    stages=("installed",),
    pool=False,
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
