"""NA-01: new zones are not answered."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, changed, every, stopped

_KEY = "/etc/designate/rndc.key"
_VARIANTS = {
    "designate worker": ("designate-worker", "Nobody tells BIND about zones: they stay pending."),
    "designate bind": ("named", "Nobody answers at port 53."),
    "designate key": ("", ""),
}


@fault(
    "NA-01",
    "The address book is not delivered",
    level=2,
    lasts="file",
    group="names",
    red=("C27:record",),
    green=(*BASE, "C02:designate", *every()),
    hints=(
        "The API takes names, and nobody finds them.",
        "Who tells BIND of a zone, and where does BIND fetch it? `openstack zone list` says how far it got.",
        "`systemctl list-units 'designate*' named`; the worker's log has the command that it gives to BIND.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop the worker that tells BIND of zones, or BIND; or spoil the key with which BIND takes orders."""
    variant, (unit, effect) = scene.choose(random, _VARIANTS)
    node = scene.pick(random, "designate")
    if unit:
        explanation = f"{unit} of {node.name} is stopped. {effect}"
        return stopped(node, unit, service="designate", variant=variant, explanation=explanation)
    return changed(
        node.name,
        Line(path=_KEY, match="    algorithm hmac-sha256;", line="    algorithm hmac-sha512;"),
        "designate-worker",
        service="designate",
        variant=variant,
        explanation=f"{_KEY} of {node.name} says hmac-sha512; the copy in /etc/bind says hmac-sha256.",
        repair=(Typed(node=node.name, line=f"sed -i 's/hmac-sha512/hmac-sha256/' {_KEY}"),),
        cheat=(Typed(node=node.name, line="systemctl restart designate-worker"),),
    )
