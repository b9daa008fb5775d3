"""CN-09: the console proxy is away."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, restart, stopped

_UNIT = "nova-novncproxy"
_DEFAULTS = "/etc/default/nova-consoleproxy"
_VARIANTS = {"nova stopped": "stopped", "nova type": "type"}


@fault(
    "CN-09",
    "No consoles",
    level=1,
    lasts="file",
    group="console",
    red=("C02:console",),
    green=(*BASE, *every(), "C04:services"),
    hints=(
        "Everything works but one thing that has a page of its own.",
        "Is anything listening on port 6080? Has its unit failed?",
        "`systemctl cat nova-novncproxy`, and what its script reads in /etc/default.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop the console proxy, or have it think that consoles are of another type."""
    variant, how = scene.choose(random, _VARIANTS)
    node = scene.nodes("nova")[0]
    if how == "stopped":
        return stopped(
            node,
            _UNIT,
            service=_UNIT,
            variant=variant,
            explanation=f"{_UNIT} of {node.name} is stopped.",
        )
    mend = f"sed -i s/spicehtml5/novnc/ {_DEFAULTS}; {restart(_UNIT)}"
    return Drawn(
        node=node.name,
        service=_UNIT,
        variant=variant,
        breaks=(
            Break(
                node=node.name,
                change=Line(
                    path=_DEFAULTS, match="NOVA_CONSOLE_PROXY_TYPE=novnc", line="NOVA_CONSOLE_PROXY_TYPE=spicehtml5"
                ),
                restart=(_UNIT,),
            ),
        ),
        explanation=f"{_DEFAULTS} of {node.name} says spicehtml5. The unit's script ends without an error then.",
        repair=(Typed(node=node.name, line=mend),),
        cheat=(Typed(node=node.name, line=restart(_UNIT)),),
    )
