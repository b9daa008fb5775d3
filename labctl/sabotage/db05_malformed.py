"""DB-05: a service's database URL is malformed."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every, listed, restart

_VARIANTS = {name: SERVICES[name] for name in ("nova", "glance", "cinder")}


@fault(
    "DB-05",
    "The service cannot even name its database",
    level=1,
    lasts="file",
    group="database-account",
    red=tuple(f"{check}:{name}" for name in _VARIANTS for check in ("C02", "C03")),
    green=(*BASE, *every()),
    hints=(
        "One API does not work, and its unit may say that all is well.",
        "Read its log from the last start on: the first traceback.",
        "What kind of database is it, and what reads its URL?",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have one service use a driver for its database that it does not have."""
    name, service = scene.choose(random, _VARIANTS)
    node, (section, option) = scene.nodes(name)[0].name, service.database
    return Drawn(
        node=node,
        service=name,
        variant=name,
        red=(f"C02:{name}", f"C03:{name}"),
        green=(*BASE, *listed(scene, name)),
        breaks=(
            Break(
                node=node,
                change=Respell(
                    path=service.conf, section=section, option=option, find=r"^mysql\+pymysql:", put="mysql:"
                ),
                restart=(service.api,),
                waits=False,
            ),
        ),
        explanation=f"[{section}] {option} in {service.conf} of {node} begins with mysql: instead of mysql+pymysql:; "
        "the driver that it means is not installed.",
        repair=(
            corrected(node, service.conf, section, f"s|^\\({option} *= *\\)mysql:|\\1mysql+pymysql:|", (service.api,)),
        ),
        cheat=(Typed(node=node, line=restart(service.api)),),
    )
