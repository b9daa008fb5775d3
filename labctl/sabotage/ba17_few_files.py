"""BA-17: there is room, but for no more files."""

from __future__ import annotations

from random import Random

from labctl.changes import Mount
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-17",
    "There is room, and no place",
    level=3,
    lasts="runtime",
    group="disk",
    red=("B07",),
    green=("B01", "B02", "B03", "B08"),
    hints=(
        "No space left on device, says a program; `df` says there is plenty.",
        "Bytes are not all that a file takes. And which file system is it?",
        "`df -i /var/tmp`, then `findmnt /var/tmp`.",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Mount a file system with hardly any inode over one node's /var/tmp."""
    node = scene.pick(random)
    size = random.choice((64, 128, 256))
    return Drawn(
        node=node.name,
        service="inodes used up",
        breaks=(Break(node=node.name, change=Mount(path="/var/tmp", options=f"mode=1777,size={size}m,nr_inodes=1")),),  # noqa: S108
        explanation=f"On /var/tmp of {node.name} a file system in memory is mounted that takes {size} MiB and no file.",
        repair=(Typed(node=node.name, line="umount /var/tmp"),),
        alternative=(Typed(node=node.name, line="mount -o remount,nr_inodes=100000 /var/tmp"),),
        cheat=(Typed(node=node.name, line="rm -rf /var/tmp/*"),),
    )
