"""BA-21: apt cannot read its configuration."""

from __future__ import annotations

from random import Random

from labctl.changes import PutFile
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-21",
    "The shop is closed",
    level=1,
    lasts="file",
    group="apt",
    red=("B12",),
    green=("B01", "B02", "B03", "B08"),
    hints=(
        "Try to install anything at all, on each node.",
        "The message names a file and a line.",
        "How does a line end there?",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Put a file with a mistake into one node's configuration of apt."""
    node = scene.pick(random)
    path = f"/etc/apt/apt.conf.d/{random.choice(('20proxy', '80retries', '99site'))}"
    return Drawn(
        node=node.name,
        service="apt",
        breaks=(Break(node=node.name, change=PutFile(path=path, content='Acquire::Retries "3"\n')),),
        explanation=f"{path} of {node.name} has no semicolon at the end of its line, so apt reads nothing at all.",
        repair=(Typed(node=node.name, line=f"rm {path}"),),
        alternative=(Typed(node=node.name, line=f"sed -i 's/\"$/\";/' {path}"),),
        cheat=(Typed(node=node.name, line="apt-get clean"),),
    )
