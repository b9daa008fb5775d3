"""CP-09: an option stands in the section before its own."""

from __future__ import annotations

from random import Random

from labctl.changes import RaiseAbove
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, every, restart

# the line before the head goes behind it
_MEND = r"sed -i -e '/^password = /{N;/\n\[keystone_authtoken\]/s/^\(.*\)\n\(.*\)$/\2\n\1/}'"


@fault(
    "CP-09",
    "The value is right and has no effect",
    level=3,
    lasts="file",
    group="credentials",
    red=("C03:nova",),
    green=(*BASE, *every("nova")),
    hints=(
        "The value is right, letter by letter.",
        "It has no effect. Who reads it?",
        "In which section does the line stand?",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Move the password of Nova's login one line too far up, into the section before."""
    node, service = scene.pick(random, "nova").name, SERVICES["nova"]
    return Drawn(
        node=node,
        service="nova",
        breaks=(
            Break(
                node=node,
                change=RaiseAbove(path=service.conf, section="keystone_authtoken", option="password"),
                restart=("nova-api",),
            ),
        ),
        explanation=f"In {service.conf} of {node} the password of [keystone_authtoken] stands above that head.",
        repair=(Typed(node=node, line=f"{_MEND} {service.conf}; {restart('nova-api')}"),),
        cheat=(Typed(node=node, line=restart("nova-api")),),
    )
