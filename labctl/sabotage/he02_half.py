"""HE-02: Heat cannot make users for stacks."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, every, misset, restart

_OPTION = "stack_domain_admin_password"


@fault(
    "HE-02",
    "Half a stack",
    level=2,
    lasts="file",
    group="heat",
    red=("X7",),
    green=(*BASE, *every(), "C02:heat", "C23"),
    hints=(
        "Plain stacks are made. Which resource fails in the others, and what does its event say?",
        "Some resources signal, and so have a user of their own. Who makes these users, and where?",
        "stack_domain_admin and its password in heat.conf, tried by hand in the domain heat.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Put a letter too many into the password of the administrator of the stacks' domain."""
    node, path = scene.pick(random, "heat").name, SERVICES["heat"].conf
    place, letter = random.randrange(1, 8), random.choice("bdfhkmpqtwxz")
    return misset(
        node,
        Respell(path=path, section="DEFAULT", option=_OPTION, find=rf"^(.{{{place}}})", put=rf"\g<1>{letter}"),
        rf"s|^\({_OPTION} *= *.\{{{place}\}}\){letter}|\1|",
        "heat-engine",
        wrong=f"has a {letter} too many.",
        cheat=(Typed(node=node, line=restart("heat-engine")),),
    )
