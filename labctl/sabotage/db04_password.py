"""DB-04: a service does not know its password for the database."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, at, corrected, every, listed, restart

_VARIANTS = {name: name for name in ("glance", "placement", "nova", "neutron", "cinder", "heat")}


@fault(
    "DB-04",
    "One service says 500",
    level=1,
    lasts="file",
    group="database-account",
    red=(*every(), "C02:nova", "C02:cinder", "C02:neutron"),
    green=(*BASE, *every()),
    hints=(
        "One API says 500.",
        "Its log names user and host of the database login that failed.",
        "Compare the URL of the database with one that works, on another node or in another section.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Put a letter too many into the password of one service's database URL."""
    name, _ = scene.choose(random, _VARIANTS)
    service = at(scene, name)
    node, place, letter = scene.nodes(name)[0].name, random.randrange(1, 8), random.choice("bdfhkmpqtwxz")
    section, option = service.database
    also = (("database", "connection"),) if name == "nova" else ()
    right = rf"s|^\({option}.*://[a-z]*:.\{{{place}\}}\){letter}|\1|"
    return Drawn(
        node=node,
        service=name,
        variant=name,
        red=(f"C02:{name}", f"C03:{name}") if name in ("nova", "cinder", "neutron") else (f"C03:{name}",),
        green=(*BASE, *listed(scene, name)),
        breaks=(
            Break(
                node=node,
                change=Respell(
                    path=service.conf,
                    section=section,
                    option=option,
                    find=rf"(://\w+:.{{{place}}})",
                    put=rf"\g<1>{letter}",
                    also=also,
                ),
                restart=service.units,
                waits=False,
            ),
        ),
        explanation=f"[{section}] {option} in {service.conf} of {node} has a {letter} too many in its password"
        f"{', and so has [database] connection' if also else ''}.",
        repair=(
            *(corrected(node, service.conf, each, right, ()) for each, _ in also),
            corrected(node, service.conf, section, right, service.units),
        ),
        cheat=(Typed(node=node, line=restart(service.api)),),
    )
