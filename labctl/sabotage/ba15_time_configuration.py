"""BA-15: the time service cannot read its configuration."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-15",
    "A keeper who cannot read his orders",
    level=1,
    lasts="file",
    group="time",
    red=("B05", "B08"),
    green=("B01", "B02", "B03"),
    hints=(
        "`systemctl --failed` on every node.",
        "The journal of the unit names a line.",
        "Line by line: /etc/chrony/chrony.conf against another node's.",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Misspell one line of one node's chrony.conf."""
    node = scene.pick(random)
    right, wrong = random.choice(
        (("makestep 1 3", "makestep 1,3"), ("rtcsync", "rtcsync on"), ("maxupdateskew 100.0", "maxupdateskew"))
    )
    return Drawn(
        node=node.name,
        service="chrony",
        breaks=(
            Break(
                node=node.name,
                change=Line(path="/etc/chrony/chrony.conf", match=right.replace(".", r"\."), line=wrong),
                restart=("chrony",),
            ),
        ),
        explanation=f"/etc/chrony/chrony.conf of {node.name} says `{wrong}`, which chronyd does not understand; it was "
        f"`{right}`.",
        repair=(
            Typed(
                node=node.name, line=f"sed -i 's/^{wrong}$/{right}/' /etc/chrony/chrony.conf; systemctl restart chrony"
            ),
        ),
        alternative=(
            Typed(node=node.name, line=f"sed -i '/^{wrong}$/d' /etc/chrony/chrony.conf; systemctl restart chrony"),
        ),
        cheat=(Typed(node=node.name, line="systemctl reset-failed chrony"),),
    )
