"""VO-15: a service's folder for locks cannot be made."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every


@fault(
    "VO-15",
    "A path nobody thinks of",
    level=2,
    lasts="file",
    group="cinder",
    red=("C08:blank",),
    green=(*BASE, *every(), "C06"),
    hints=(
        "Lists work. The first thing that is done with a volume fails.",
        "Its log names a path.",
        "lock_path: who may make it?",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have Cinder keep its locks where it may make no folder."""
    node, path = scene.pick(random, "cinder").name, SERVICES["cinder"].conf
    return Drawn(
        node=node,
        service="cinder-volume",
        breaks=(
            Break(
                node=node,
                change=Ini(path=path, values={"oslo_concurrency": {"lock_path": "/var/lib/locks"}}),
                restart=("cinder-volume",),
            ),
        ),
        explanation=f"[oslo_concurrency] lock_path in {path} of {node} is /var/lib/locks, whose parent is root's.",
        repair=(
            corrected(
                node, path, "oslo_concurrency", "s|^lock_path = .*|lock_path = /var/lock/cinder|", ("cinder-volume",)
            ),
        ),
    )
