"""VO-15: a service's folder for locks cannot be made."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, every, misset


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
    change = Ini(path=SERVICES["cinder"].conf, values={"oslo_concurrency": {"lock_path": "/var/lib/locks"}})
    sed = "s|^lock_path = .*|lock_path = /var/lock/cinder|"
    wrong = "is /var/lib/locks, whose parent is root's."
    return misset(scene.pick(random, "cinder-volume").name, change, sed, "cinder-volume", wrong=wrong)
