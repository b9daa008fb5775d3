"""HO-04: a file that few know of has the last word."""

from __future__ import annotations

from random import Random

from labctl.changes import PutFile
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, restart


@fault(
    "HO-04",
    "Your edits do nothing",
    level=3,
    lasts="file",
    group="credentials",
    red=("C03:nova",),
    green=(*BASE, *every("nova")),
    hints=(
        "The file that people edit is right, and has no say.",
        "`systemctl cat`, the script, its arguments.",
        "Which files does the process read, in which order? *.conf.d",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Put a file with a wrong password into a folder that Nova's API reads after nova.conf."""
    node, path = scene.pick(random, "nova").name, "/etc/nova/nova.conf.d/10-site.conf"
    word = "".join(random.choice("bcdfghjkmnpqrstvwxz23456789") for _ in range(16))
    return Drawn(
        node=node,
        service="nova",
        breaks=(
            Break(
                node=node,
                change=PutFile(
                    path=path, content=f"[keystone_authtoken]\\npassword = {word}\\n", owner="root:nova", mode=0o640
                ),
                restart=("nova-api",),
            ),
        ),
        explanation=f"{path} of {node} has a password of its own; Nova's API reads it after nova.conf.",
        repair=(Typed(node=node, line=f"rm {path}; {restart('nova-api')}"),),
        alternative=(Typed(node=node, line=f": >{path}; {restart('nova-api')}"),),
        cheat=(Typed(node=node, line=restart("nova-api")),),
    )
