"""TE-02: the image service does not tell what it does."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, every, misset

_SECTION = "oslo_messaging_notifications"
_VARIANTS = {"glance noop": {"driver": "noop"}, "glance topic": {"topics": "notification"}}


@fault(
    "TE-02",
    "Some are counted, others are not",
    level=2,
    lasts="file",
    group="telemetry",
    red=("C25",),
    green=(*BASE, "C02:gnocchi", "C02:aodh", "C26", *every()),
    hints=(
        "Other services are still heard of.",
        "What does the image service put into the message queue, and into which queue?",
        f"[{_SECTION}] in its file. Compare it with another service's.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have Glance tell nobody what it does, or tell it where nobody listens."""
    variant, options = scene.choose(random, _VARIANTS, lambda _: scene.nodes("ceilometer")[0])
    node, service = scene.pick(random, "glance").name, SERVICES["glance"]
    ((option, value),) = options.items()
    right = "s/^driver *=.*/driver = messagingv2/" if option == "driver" else "{/^topics *=/d}"
    return misset(
        node,
        Ini(path=service.conf, values={_SECTION: options}),
        right,
        *service.units,
        wrong=f"is {value}: Ceilometer's agent hears nothing of Glance.",
        service="glance",
        variant=variant,
    )
