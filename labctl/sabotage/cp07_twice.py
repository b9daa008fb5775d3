"""CP-07: an option stands twice."""

from __future__ import annotations

from random import Random

from labctl.changes import Double
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every, listed, restart

_VARIANTS = {name: SERVICES[name] for name in ("nova", "cinder", "neutron")}


@fault(
    "CP-07",
    "You read the right line",
    level=3,
    lasts="file",
    group="database-account",
    red=("C02:nova", "C02:cinder", "C02:neutron", "C03:nova", "C03:cinder", "C03:neutron"),
    green=(*BASE, *every()),
    hints=(
        "The value is right, letter by letter.",
        "It has no effect. Which value does the service use?",
        "Search the whole section: the last one counts.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Add a second, wrong URL of the database far below the right one."""
    name, service = scene.choose(random, _VARIANTS)
    node, (section, option), mask = scene.nodes(name)[0].name, service.database, random.choice(("bak", "old", "test"))
    return Drawn(
        node=node,
        service=name,
        variant=name,
        red=(f"C02:{name}", f"C03:{name}"),
        green=(*BASE, *listed(scene, name)),
        breaks=(
            Break(
                node=node,
                change=Double(
                    path=service.conf,
                    section=section,
                    option=option,
                    find=f"/{service.schema}$",
                    put=f"/{service.schema}_{mask}",
                ),
                restart=(service.api,),
                waits=False,
            ),
        ),
        explanation=f"[{section}] of {service.conf} on {node} has two lines `{option}`. The last one counts: the "
        f"schema {service.schema}_{mask}, which there is not.",
        repair=(corrected(node, service.conf, section, f"{{/^{option}.*_{mask}$/d}}", (service.api,)),),
        cheat=(Typed(node=node, line=restart(service.api)),),
    )
