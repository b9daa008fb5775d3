"""TE-01: nothing is measured any more."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, stopped

_VARIANTS = {
    "ceilometer stopped": (
        "ceilometer-agent-notification",
        "Nobody takes what the services tell; it queues up.",
        "C26",
    ),
    "gnocchi stopped": ("gnocchi-metricd", "Gnocchi takes measures, and nobody computes them.", ""),
}


@fault(
    "TE-01",
    "The curve ends today",
    level=1,
    lasts="runtime",
    group="telemetry",
    red=("C25",),
    green=(*BASE, "C02:gnocchi", "C02:aodh", *every()),
    hints=(
        "All APIs answer, and no new number comes.",
        "Follow a measure: who tells it, who takes it, who computes it? Where do they wait?",
        "`rabbitmqctl list_queues`, `openstack metric status`, `systemctl list-units 'ceilometer*' 'gnocchi*'`",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop the agent that takes what the services tell, or the daemon that computes measures."""
    variant, (unit, effect, green) = scene.choose(random, _VARIANTS)
    node = scene.pick(random, variant.split()[0])
    return stopped(
        node,
        unit,
        service=variant.split()[0],
        variant=variant,
        explanation=f"{unit} of {node.name} is stopped. {effect}",
        green=(*BASE, "C02:gnocchi", "C02:aodh", *filter(None, [green]), *every()),
    )
