"""CP-08: an option's name is misspelled."""

from __future__ import annotations

from random import Random

from labctl.changes import Rename
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every, listed, restart

_VARIANTS = {
    "neutron": (
        SERVICES["neutron"].conf,
        "DEFAULT",
        "core_plugin",
        "core_plugins",
        SERVICES["neutron"].units,
        ("C02:neutron", "C03:neutron"),
    ),
    "cinder": (
        SERVICES["cinder"].conf,
        "DEFAULT",
        "enabled_backends",
        "enabled_backend",
        ("cinder-volume",),
        ("C06",),
    ),
    "compute": (
        SERVICES["nova"].conf,
        "DEFAULT",
        "transport_url",
        "transport_ur",
        ("nova-compute",),
        ("C04:services",),
    ),
}


@fault(
    "CP-08",
    "As if nobody had set it up",
    level=2,
    lasts="file",
    group="names-of-options",
    red=("C02:neutron", "C03:neutron", "C06", "C04:services"),
    green=(*BASE, *every()),
    hints=(
        "A unit is not failed, and not there.",
        "Run what the unit runs, by hand. What does its script read first?",
        "Every option by its name: an unknown one is no error.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Misspell the name of an option that its service cannot do without."""
    variant, (path, section, option, wrong, units, red) = scene.choose(random, _VARIANTS)
    role = variant.split()[0]
    node = scene.running(units[0], role)[0].name
    return Drawn(
        node=node,
        service={"compute": "nova-compute", "cinder": "cinder-volume"}.get(role, role),
        variant=variant,
        red=red,
        green=(*BASE, *listed(scene, role)),
        breaks=(
            Break(
                node=node,
                change=Rename(path=path, section=section, option=option, name=wrong),
                restart=units,
                waits=False,
            ),
        ),
        explanation=f"[{section}] of {path} on {node} has an option {wrong}; it is {option}.",
        repair=(corrected(node, path, section, f"s/^{wrong}\\b/{option}/", units),),
        cheat=(Typed(node=node, line=restart(*units)),) if role == "neutron" else (),
    )
