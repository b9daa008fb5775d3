"""KS-17: Keystone's own database URL is wrong."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import SERVICES, corrected, restart

_VARIANTS = {
    "keystone password": (r"(://\w+:..)", r"\1x", r"s|^\(connection.*://[a-z]*:..\)x|\1|"),
    "keystone schema": (r"/keystone$", "/keystome", "s|/keystome$|/keystone|"),
}
_WHAT = {
    "keystone password": "the password has an x too many, its third letter",
    "keystone schema": "the schema is keystome, which there is not",
}


@fault(
    "KS-17",
    "Up, and unhappy",
    level=1,
    lasts="file",
    group="keystone",
    red=("C01",),
    green=("B01",),
    hints=(
        "Nothing works, but port 5000 is open.",
        "Keystone is up and unhappy: its log says why.",
        "Try the URL of [database] with the client mariadb.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Put a letter too many into the password of Keystone's database URL, or name another schema."""
    variant, (find, put, sed) = scene.choose(random, _VARIANTS)
    node, service = scene.nodes("keystone")[0].name, SERVICES["keystone"]
    return Drawn(
        node=node,
        service="keystone",
        variant=variant,
        breaks=(
            Break(
                node=node,
                change=Respell(path=service.conf, section="database", option="connection", find=find, put=put),
                restart=("keystone",),
            ),
        ),
        explanation=f"[database] connection of {service.conf} on {node}: {_WHAT[variant]}.",
        repair=(corrected(node, service.conf, "database", sed, ("keystone",)),),
        cheat=(Typed(node=node, line=restart("keystone")),),
    )
