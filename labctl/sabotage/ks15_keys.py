"""KS-15: Keystone cannot read its keys."""

from __future__ import annotations

from random import Random

from labctl.changes import Permissions
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import restart


@fault(
    "KS-15",
    "The doorman has lost his keys",
    level=2,
    lasts="file",
    group="keystone",
    red=("C01",),
    green=("B01", "C02:keystone"),
    hints=(
        "Nobody can log in, but Keystone answers.",
        "500 is not 401: read Keystone's log.",
        "Who owns the folder fernet-keys?",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Give the folder of Keystone's keys to root."""
    node, path = scene.pick(random, "keystone").name, "/etc/keystone/fernet-keys"
    return Drawn(
        node=node,
        service="keystone",
        breaks=(Break(node=node, change=Permissions(path=path, owner="root:root", mode=0o700), restart=("keystone",)),),
        explanation=f"{path} of {node} belongs to root, so Keystone, which is no root, finds no keys there.",
        repair=(Typed(node=node, line=f"chown keystone:keystone {path}; {restart('keystone')}"),),
        cheat=(Typed(node=node, line=restart("keystone")),),
    )
