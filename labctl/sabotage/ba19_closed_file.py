"""BA-19: only root may read what everybody needs."""

from __future__ import annotations

from random import Random

from labctl.changes import Permissions
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-19",
    "Root knows them all, nobody else does",
    level=2,
    lasts="file",
    group="rights",
    red=("B11",),
    green=("B01", "B02", "B03", "B08"),
    hints=(
        "As root every name resolves. As another user?",
        "su -s /bin/sh nobody -c 'getent hosts NAME'",
        "Who may read the file in which names are looked up?",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Close one node's file of names, or of name services, to all but root."""
    node = scene.pick(random)
    path = random.choice(("/etc/hosts", "/etc/nsswitch.conf"))
    mode = random.choice((0o600, 0o640))
    return Drawn(
        node=node.name,
        service="users' rights",
        breaks=(Break(node=node.name, change=Permissions(path=path, mode=mode)),),
        explanation=f"{path} of {node.name} has mode {mode:04o}: programs of other users cannot read it. It was 0644.",
        repair=(Typed(node=node.name, line=f"chmod 644 {path}"),),
        alternative=(Typed(node=node.name, line=f"chmod a+r {path}"),),
        cheat=(Typed(node=node.name, line=f"chmod g+r {path}"),),
    )
