"""CP-05: Nova's scheduler is halted."""

from __future__ import annotations

from random import Random

from labctl.changes import Stopped
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every

_UNIT = "nova-scheduler"


@fault(
    "CP-05",
    "systemd is happy",
    level=3,
    lasts="runtime",
    group="nova-scheduler",
    red=("C04:services",),
    green=(*BASE, *every(), "C05"),
    hints=(
        "New servers stay in `scheduling`, and no unit has failed.",
        "A process that runs need not do anything.",
        "`ps -o pid,stat,cmd -C nova-scheduler`: what does the letter mean?",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Halt the process of Nova's scheduler by a signal: systemd sees nothing amiss."""
    node = scene.pick(random, "nova")
    go_on = f"kill -CONT $(systemctl show -P MainPID {_UNIT})"
    return Drawn(
        node=node.name,
        service=_UNIT,
        breaks=(Break(node=node.name, change=Stopped(unit=_UNIT)),),
        explanation=f"The process of nova-scheduler on {node.name} was sent SIGSTOP: it exists, and does nothing.",
        repair=(Typed(node=node.name, line=go_on),),
        alternative=(
            Typed(node=node.name, line="systemctl kill -s KILL nova-scheduler; systemctl restart nova-scheduler"),
        ),
    )
