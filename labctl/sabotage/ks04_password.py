"""KS-04: a service does not know its own password."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, copied, corrected, every, listed, restart

# sections of the same file in which the same user's password stands once more
_OWN = {"nova": "service_user", "cinder": "service_user", "heat": "trustee"}
_VARIANTS = {name: SERVICES[name] for name in ("glance", "placement", "nova", "neutron", "cinder", "heat")}


@fault(
    "KS-04",
    "One API refuses every caller, admin too",
    level=1,
    lasts="file",
    group="credentials",
    red=every(),
    green=(*BASE, *every()),
    hints=(
        "Which API fails for everybody, the administrator too?",
        "Before it can judge your token it must log in itself. With what?",
        "Try a login with exactly the values of [keystone_authtoken].",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Put one letter too many into the password with which one service logs in to Keystone."""
    name, service = scene.choose(random, _VARIANTS)
    node, place = scene.nodes(name)[0].name, random.randrange(1, 8)
    letter = random.choice("bdfhkmpqtwxz")
    return Drawn(
        node=node,
        service=name,
        variant=name,
        red=(f"C03:{name}",),
        green=(*BASE, *listed(scene, name)),
        breaks=(
            Break(
                node=node,
                change=Respell(
                    path=service.conf,
                    section="keystone_authtoken",
                    option="password",
                    find=rf"^(.{{{place}}})",
                    put=rf"\g<1>{letter}",
                ),
                restart=(service.api,),
            ),
        ),
        explanation=f"{service.conf} of {node}: [keystone_authtoken] password has a {letter} too many, its letter "
        f"number {place + 1}. Keystone's log says that {name} failed to log in.",
        repair=(
            corrected(
                node,
                service.conf,
                "keystone_authtoken",
                rf"s/^\(password *= *.\{{{place}\}}\){letter}/\1/",
                (service.api,),
            ),
        ),
        alternative=(copied(node, service.conf, _OWN[name], "keystone_authtoken", (service.api,)),)
        if name in _OWN
        else (),
        cheat=(Typed(node=node, line=restart(service.api)),),
    )
