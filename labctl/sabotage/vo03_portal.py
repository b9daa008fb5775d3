"""VO-03: volumes are handed out at an address of nobody."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every, misset


@fault(
    "VO-03",
    "The parcel is at another address",
    level=2,
    lasts="file",
    group="iscsi",
    red=("C17",),
    green=(*BASE, *every(), "C06", "C08:blank"),
    hints=(
        "A volume is made, and is never attached.",
        "Where does the initiator look for it? The log of nova-compute names a portal.",
        "[lvm] target_ip_address against the addresses of Cinder's node.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have Cinder tell everybody an address of nobody for its volumes."""
    node, path = scene.pick(random, "cinder-volume").name, SERVICES["cinder"].conf
    right, wrong = scene.address("cinder-volume", node), scene.free_address(random)
    return misset(
        node,
        Ini(path=path, values={"lvm": {"target_ip_address": wrong}}),
        f"s/^target_ip_address = .*/target_ip_address = {right}/",
        "cinder-volume",
        wrong=f"is {wrong}; the node has {right}.",
        alternative=(corrected(node, path, "lvm", "{/^target_ip_address/d}", ("cinder-volume",)),),
    )
