"""KS-14: Keystone's catalogue driver is gone."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import corrected, restart


@fault(
    "KS-14",
    "Login page of errors",
    level=2,
    lasts="file",
    group="keystone",
    red=("C01",),
    green=("B01",),
    hints=(
        "The unit is active, and every answer is 500.",
        "Did the application load?",
        "Which catalogue drivers does this release have?",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have Keystone take its catalogue from a driver that this release does not have."""
    node = scene.pick(random, "keystone").name
    return Drawn(
        node=node,
        service="keystone",
        breaks=(
            Break(
                node=node,
                change=Ini(path="/etc/keystone/keystone.conf", values={"catalog": {"driver": "templated"}}),
                restart=("keystone",),
            ),
        ),
        explanation=f"[catalog] driver of keystone.conf on {node} is templated: this release has no such driver.",
        repair=(
            corrected(
                node, "/etc/keystone/keystone.conf", "catalog", "s/^driver = templated/driver = sql/", ("keystone",)
            ),
        ),
        cheat=(Typed(node=node, line=restart("keystone")),),
    )
