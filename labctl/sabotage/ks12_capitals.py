"""KS-12: a service looks in another region."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every

_VARIANTS = {
    "nova [placement]": ("placement", "nova-scheduler"),
    "nova [neutron]": ("neutron", "nova-api"),
    "compute [neutron]": ("neutron", "nova-compute"),
}


@fault(
    "KS-12",
    "A matter of capitals",
    level=2,
    lasts="file",
    group="clients",
    red=("C10",),
    green=(*BASE, *every(), "C09"),
    hints=(
        "Endpoint not found, says the caller's log, yet it is there.",
        "A look-up in the catalogue has more keys than the service's name.",
        "Names of regions are case-sensitive.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Spell the region in one client section of Nova as the package does."""
    variant, (section, unit) = scene.choose(random, _VARIANTS)
    node, path = scene.nodes(variant.split()[0])[0].name, SERVICES["nova"].conf
    right = scene.region()
    wrong = right[:1].swapcase() + right[1:]
    return Drawn(
        node=node,
        service="nova-compute" if unit == "nova-compute" else "nova",
        variant=variant,
        breaks=(
            Break(
                node=node,
                change=Ini(path=path, values={section: {"region_name": wrong}}),
                restart=(unit,),
                waits=unit != "nova-compute",
            ),
        ),
        explanation=f"[{section}] region_name in {path} of {node} is {wrong}; the region is {right}.",
        repair=(corrected(node, path, section, f"s/^region_name = {wrong}/region_name = {right}/", (unit,)),),
    )
