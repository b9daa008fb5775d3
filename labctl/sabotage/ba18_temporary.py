"""BA-18: only root may write temporary files."""

from __future__ import annotations

from random import Random

from labctl.changes import Permissions
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-18",
    "Only the king may scribble",
    level=1,
    lasts="file",
    group="rights",
    red=("B11",),
    green=("B01", "B02", "B03", "B08"),
    hints=(
        "Root sees nothing wrong. Become somebody else: su -s /bin/sh nobody.",
        "Where do programs put what they need for a moment?",
        "`ls -ld /tmp /var/tmp`, and the same on another node.",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Take the right to write to one node's folder for temporary files from all but root."""
    node = scene.pick(random)
    path = random.choice(("/tmp", "/var/tmp"))  # noqa: S108
    return Drawn(
        node=node.name,
        service="users' rights",
        breaks=(Break(node=node.name, change=Permissions(path=path, mode=0o755)),),
        explanation=f"{path} of {node.name} has mode 0755; it needs 1777: all write, and delete only their own.",
        repair=(Typed(node=node.name, line=f"chmod 1777 {path}"),),
        alternative=(Typed(node=node.name, line=f"chmod a+rwx,+t {path}"),),
        cheat=(Typed(node=node.name, line=f"chmod 777 {path}"),),
    )
