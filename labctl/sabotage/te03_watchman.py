"""TE-03: no alarm fires."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, copied, every, restart, stopped

_FILE = "/etc/aodh/aodh.conf"
_UNIT = "aodh-evaluator"
_VARIANTS = {"aodh stopped": "stopped", "aodh password": "password"}


@fault(
    "TE-03",
    "It burns, and no bell rings",
    level=2,
    lasts="file",
    group="telemetry",
    red=("C26",),
    green=(*BASE, "C02:gnocchi", "C02:aodh", "C25", *every()),
    hints=(
        "Measures come, alarms are made, and their state stays *insufficient data*.",
        "Who compares, and with whose measures? Its log says more than its API.",
        f"`systemctl status {_UNIT}`; [service_credentials] in {_FILE}",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop Aodh's evaluator, or put a letter too many into the password with which it logs in to ask Gnocchi."""
    variant, how = scene.choose(random, _VARIANTS)
    node = scene.pick(random, "aodh")
    if how == "stopped":
        explanation = f"{_UNIT} of {node.name} is stopped."
        return stopped(node, _UNIT, service="aodh", variant=variant, explanation=explanation)
    place, letter = random.randrange(1, 8), random.choice("bdfhkmpqtwxz")
    return Drawn(
        node=node.name,
        service="aodh",
        variant=variant,
        breaks=(
            Break(
                node=node.name,
                change=Respell(
                    path=_FILE,
                    section="service_credentials",
                    option="password",
                    find=rf"^(.{{{place}}})",
                    put=rf"\g<1>{letter}",
                ),
                restart=(_UNIT,),
            ),
        ),
        explanation=f"The password in [service_credentials] of {_FILE} of {node.name} has a {letter} too many. The one "
        "in [keystone_authtoken] is right.",
        repair=(copied(node.name, _FILE, "keystone_authtoken", "service_credentials", (_UNIT,)),),
        cheat=(Typed(node=node.name, line=restart(_UNIT)),),
    )
