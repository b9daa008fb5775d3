"""NW-24: Neutron's driver does not exist."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every, restart


@fault(
    "NW-24",
    "The network server will not load",
    level=2,
    lasts="file",
    group="neutron",
    red=("C02:neutron", "C03:neutron"),
    green=(*BASE, *every("neutron")),
    hints=(
        "Requests for networks hang or fail.",
        "The server does not load; its log names a driver.",
        "Does this release still have it, and is it spelled so?",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have Neutron load a driver that this release does not have, or misspell it."""
    node, path, units = (
        scene.pick(random, "neutron").name,
        "/etc/neutron/plugins/ml2/ml2_conf.ini",
        SERVICES["neutron"].units,
    )
    wrong = random.choice(("linuxbridge", "openvswich"))
    return Drawn(
        node=node,
        service="neutron",
        breaks=(
            Break(
                node=node,
                change=Ini(path=path, values={"ml2": {"mechanism_drivers": wrong}}),
                restart=units,
                waits=False,
            ),
        ),
        explanation=f"[ml2] mechanism_drivers in {path} of {node} is {wrong}; it is openvswitch.",
        repair=(
            corrected(node, path, "ml2", f"s/^mechanism_drivers = {wrong}/mechanism_drivers = openvswitch/", units),
        ),
        cheat=(Typed(node=node, line=restart(*units)),),
    )
