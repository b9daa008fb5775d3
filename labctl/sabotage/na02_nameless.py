"""NA-02: servers get no names."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, every, misset

_VARIANTS = {
    "neutron url": ("designate", ":9001", ":9000", "s/^\\(url *=.*\\):9000/\\1:9001/"),
    "neutron version": ("designate", "/v2$", "/v1", "s|^\\(url *=.*\\)/v1|\\1/v2|"),
}


@fault(
    "NA-02",
    "Addresses without a name on the door",
    level=2,
    lasts="file",
    group="names",
    red=("C27:floating",),
    green=(*BASE, "C02:designate", "C27:record", *every()),
    hints=(
        "Names that are made by hand are found.",
        "Who asks for the name of a floating address, and whom?",
        "The network server's log has the URL that it asks: [designate] in its file.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have Neutron look for Designate at another port, or speak a version of its API that is gone."""
    variant, (section, find, put, sed) = scene.choose(random, _VARIANTS, lambda _: scene.nodes("designate")[0])
    service = SERVICES["neutron"]
    return misset(
        scene.pick(random, "neutron").name,
        Respell(path=service.conf, section=section, option="url", find=find, put=put),
        sed,
        *service.units,
        wrong=f"has {put} where {find.rstrip('$')} belongs.",
        service="neutron",
        variant=variant,
    )
