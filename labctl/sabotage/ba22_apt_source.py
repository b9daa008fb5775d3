"""BA-22: apt does not understand where packages come from."""

from __future__ import annotations

from random import Random

from labctl.changes import PutFile
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-22",
    "A supplier without an address",
    level=1,
    lasts="file",
    group="apt",
    red=("B12",),
    green=("B01", "B02", "B03", "B08"),
    hints=(
        "Try to install anything at all, on each node.",
        "The message counts entries of a list.",
        "What must a line that begins with deb have?",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Put a list with a malformed entry among one node's sources of packages."""
    node = scene.pick(random)
    name = random.choice(("backports", "site", "updates"))
    path = f"/etc/apt/sources.list.d/{name}.list"
    return Drawn(
        node=node.name,
        service="apt",
        breaks=(Break(node=node.name, change=PutFile(path=path, content="deb file:/media/labctl\n")),),
        explanation=f"{path} of {node.name} has an entry without a suite, so apt refuses all of its sources.",
        repair=(Typed(node=node.name, line=f"rm {path}"),),
        alternative=(Typed(node=node.name, line=f"sed -i 's/^deb/# deb/' {path}"),),
        cheat=(Typed(node=node.name, line="apt-get clean"),),
    )
