"""GL-05: the image for instances is not for everybody."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, in_cloud, openstack

_VARIANTS: dict[str, tuple[dict[str, object], str]] = {
    "glance private": ({"visibility": "private"}, "--public"),
    "glance deactivated": ({"status": "deactivated"}, "--activate"),
}


@fault(
    "GL-05",
    "This image is not for you",
    level=1,
    lasts="data",
    group="image",
    red=("C07:stock",),
    green=(*BASE, *every(), "C07:upload"),
    hints=(
        "admin sees it. Does demo?",
        "Everything about it is right but one quality.",
        "`openstack image show instance` as admin: visibility, status.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Make the image for instances private, or deactivate it."""
    variant, (value, option) = scene.choose(random, _VARIANTS)
    node = scene.nodes("glance")[0].name
    return Drawn(
        node=node,
        service="glance",
        variant=variant,
        breaks=(in_cloud(scene, "image instance", values=value),),
        explanation=f"The image instance has {', '.join(f'{key} {word}' for key, word in value.items())}.",
        repair=(openstack(node, f"openstack image set {option} instance"),),
    )
