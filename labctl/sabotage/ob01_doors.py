"""OB-01: the object store is closed, or lets nobody in."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, copied, every, restart, stopped

_FILE = "/etc/swift/proxy-server.conf"
_UNIT = "swift-proxy"
_VARIANTS = {"swift stopped": "stopped", "swift password": "password"}


@fault(
    "OB-01",
    "No objects for anybody",
    level=1,
    lasts="file",
    group="objects",
    red=("C02:swift", "C24"),
    green=(*BASE, *every()),
    hints=(
        "All services answer but one.",
        "Does something listen on port 8080? What does it say about your token?",
        "`journalctl -u swift-proxy`, and [filter:authtoken] in its file.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop Swift's proxy, or put a letter too many into the password with which it asks Keystone about tokens."""
    variant, how = scene.choose(random, _VARIANTS)
    node = scene.pick(random, "swift")
    if how == "stopped":
        explanation = f"{_UNIT} of {node.name} is stopped."
        return stopped(node, _UNIT, service="swift", variant=variant, explanation=explanation)
    place, letter = random.randrange(1, 8), random.choice("bdfhkmpqtwxz")
    return Drawn(
        node=node.name,
        service="swift",
        variant=variant,
        red=("C24",),
        green=(*BASE, "C02:swift", *every()),
        breaks=(
            Break(
                node=node.name,
                change=Respell(
                    path=_FILE,
                    section="filter:authtoken",
                    option="password",
                    find=rf"^(.{{{place}}})",
                    put=rf"\g<1>{letter}",
                ),
                restart=(_UNIT,),
            ),
        ),
        explanation=f"The password in [filter:authtoken] of {_FILE} of {node.name} has a {letter} too many. The one in "
        "[filter:s3token] is right.",
        repair=(copied(node.name, _FILE, "filter:s3token", "filter:authtoken", (_UNIT,)),),
        cheat=(Typed(node=node.name, line=restart(_UNIT)),),
    )
