"""HO-07: a drop-in leaves a unit too little."""

from __future__ import annotations

from random import Random

from labctl.changes import DropIn
from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, changed, every, restart

_VARIANTS = {
    "nova memory": ("nova-conductor", "MemoryMax", "64M", "C04:services"),
    "nova files": ("nova-conductor", "LimitNOFILE", "16", "C04:services"),
    "cinder memory": ("cinder-volume", "MemoryMax", "64M", "C06"),
    "cinder files": ("cinder-volume", "LimitNOFILE", "16", "C06"),
}


@fault(
    "HO-07",
    "It dies again and again",
    level=3,
    lasts="file",
    group="limits",
    red=("C04:services", "C06"),
    green=(*BASE, *every()),
    hints=(
        "Its log ends in the middle, and begins anew.",
        "Who ends it? `systemctl status`, and the kernel.",
        "`systemctl cat` shows every file that has a say; `systemctl show` the limits.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Give a unit a drop-in that leaves it too little memory, or too few files."""
    variant, (unit, option, value, red) = scene.choose(random, _VARIANTS)
    node = random.choice(scene.running(unit, variant.split()[0])).name
    change = DropIn(unit=f"{unit}.service", name="10-limits", values={"Service": {option: value}})
    return changed(
        node,
        change,
        unit,
        waits=False,
        variant=variant,
        red=(red,),
        explanation=f"{change.target} of {node} sets {option} to {value}: {unit} cannot live with that.",
        repair=(Typed(node=node, line=f"rm {change.target}; systemctl daemon-reload; {restart(unit)}"),),
        alternative=(Typed(node=node, line=f"systemctl revert {unit}; {restart(unit)}"),),
        cheat=(Typed(node=node, line=f"rm {change.target}; {restart(unit)}"),),
    )
