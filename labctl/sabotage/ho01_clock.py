"""HO-01: a node's clock is a day ahead."""

from __future__ import annotations

from random import Random

from labctl.changes import Clock, UnitState
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, listed

_VARIANTS = {"glance": "glance", "cinder": "cinder"}


@fault(
    "HO-01",
    "Fresh tokens are stale here",
    level=2,
    lasts="runtime",
    group="time",
    red=("C03:glance", "C03:cinder"),
    green=(*BASE, *every()),
    hints=(
        "Tokens are fresh everywhere but on one node.",
        "When did the token end, by whose clock?",
        "`date -u` on each node.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop one node's time service and set its clock ahead by more than a token lives."""
    variant, name = scene.choose(random, _VARIANTS)
    node = scene.alone(random, name)
    return Drawn(
        node=node.name,
        service="chrony",
        variant=variant,
        red=(f"C03:{name}",),
        green=(*BASE, *listed(scene, name)),
        breaks=(
            Break(node=node.name, change=UnitState(name="chrony", active=False)),
            Break(node=node.name, change=Clock(ahead=25 * 3600)),
        ),
        explanation=f"The clock of {node.name} is 25 hours ahead, and chrony is stopped; tokens live 24 hours.",
        repair=(Typed(node=node.name, line="systemctl start chrony; chronyc waitsync 10; sleep 2"),),
    )
