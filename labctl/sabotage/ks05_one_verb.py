"""KS-05: a service does not know its password for another service."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every

_VARIANTS = {
    "nova [placement]": ("placement", "nova-scheduler"),
    "nova [neutron]": ("neutron", "nova-api"),
    "compute [neutron]": ("neutron", "nova-compute"),
}


@fault(
    "KS-05",
    "Lists are fine, one verb is not",
    level=3,
    lasts="file",
    group="clients",
    red=("C10",),
    green=(*BASE, *every(), "C09"),
    hints=(
        "Everything lists, one verb fails. Who talks to whom during that verb?",
        "The failing call is service to service; read the caller's log, not the callee's.",
        "Compare the client sections [placement] and [neutron] of nova.conf with other nodes or sections.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Put a letter too many into the password with which Nova asks Placement or Neutron."""
    variant, (section, unit) = scene.choose(random, _VARIANTS)
    node, path = scene.nodes(variant.split()[0])[0].name, SERVICES["nova"].conf
    return Drawn(
        node=node,
        service="nova-compute" if unit == "nova-compute" else "nova",
        variant=variant,
        breaks=(
            Break(
                node=node,
                change=Respell(path=path, section=section, option="password", find="^(...)", put=r"\1x"),
                restart=(unit,),
            ),
        ),
        explanation=f"[{section}] password in {path} of {node} has an x too many, its letter number 4.",
        repair=(corrected(node, path, section, r"s/^\(password *= *...\)x/\1/", (unit,)),),
    )
