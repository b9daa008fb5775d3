"""BA-23: nobody looks at leases."""

from __future__ import annotations

from random import Random

from labctl.changes import UnitState
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-23",
    "One small helper is away",
    level=2,
    lasts="file",
    group="resolver",
    red=("B08",),
    green=("B01", "B02", "B03"),
    hints=(
        "Everything works, until the next lease.",
        "Compare the units that are enabled with another node's.",
        "It is no service: `systemctl list-unit-files --type=path`.",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop and disable the unit that writes one node's resolv.conf when a lease comes."""
    node = scene.pick(random)
    return Drawn(
        node=node.name,
        service="labctl-resolv.path",
        breaks=(Break(node=node.name, change=UnitState(name="labctl-resolv.path", active=False, enabled="disabled")),),
        explanation=f"labctl-resolv.path is stopped and disabled on {node.name}: it writes resolv.conf for each lease.",
        repair=(Typed(node=node.name, line="systemctl enable -q --now labctl-resolv.path"),),
        cheat=(Typed(node=node.name, line="systemctl start labctl-resolv.path"),),
    )
