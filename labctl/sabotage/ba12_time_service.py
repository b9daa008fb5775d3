"""BA-12: nobody keeps the time."""

from __future__ import annotations

from random import Random
from typing import Literal

from labctl.changes import UnitState
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-12",
    "A keeper has left his post",
    level=1,
    lasts="file",
    group="time",
    red=("B05", "B08"),
    green=("B01", "B02", "B03"),
    hints=(
        "Which services does every node run? One node runs one less.",
        "It neither runs nor would it after a reboot.",
        "`systemctl status chrony`",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop one node's time service, and have it disabled or masked."""
    node = scene.pick(random)
    how: Literal["disabled", "masked"] = random.choice(("disabled", "masked"))
    undo = "systemctl unmask -q chrony; " if how == "masked" else ""
    # A service that is started and not enabled is gone after the next reboot; a masked one cannot even be started.
    start = "systemctl start chrony || :"
    return Drawn(
        node=node.name,
        service="chrony",
        breaks=(Break(node=node.name, change=UnitState(name="chrony", active=False, enabled=how)),),
        explanation=f"chrony is stopped and {how} on {node.name}.",
        repair=(Typed(node=node.name, line=f"{undo}systemctl enable -q --now chrony"),),
        cheat=(Typed(node=node.name, line=start),),
    )
