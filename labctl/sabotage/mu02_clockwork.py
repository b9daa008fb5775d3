"""MU-02: nobody winds the clockwork of the graphs."""

from __future__ import annotations

from random import Random

from labctl.changes import UnitState
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every

_UNIT = "munin-cron.timer"


@fault(
    "MU-02",
    "All curves end at one moment",
    level=2,
    lasts="file",
    group="graphs",
    red=("C28:values",),
    green=(*BASE, *every()),
    hints=(
        "The pages are there, and old.",
        "Who begins a round? The guide's time had cron for it.",
        "`systemctl list-timers --all`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop and disable the timer of the master's rounds."""
    node = scene.pick(random, "munin").name
    return Drawn(
        node=node,
        service="munin",
        breaks=(Break(node=node, change=UnitState(name=_UNIT, active=False, enabled="disabled")),),
        explanation=f"{_UNIT} of {node} is stopped and disabled; it begins the rounds in which Munin asks and draws.",
        repair=(Typed(node=node, line=f"systemctl enable -q --now {_UNIT}"),),
        cheat=(Typed(node=node, line="systemctl start munin-cron.service"),),
    )
