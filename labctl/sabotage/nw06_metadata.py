"""NW-06: a part of the metadata service is away or disagrees."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Break, Drawn, Scene, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every, stopped

_AGENT = "/etc/neutron/metadata_agent.ini"
_VARIANTS = {"gateway secret": 1, "nova secret": 2, "nova api": 3}


@fault(
    "NW-06",
    "An address, and no key",
    level=2,
    lasts="file",
    group="metadata",
    red=("C11", "C05"),
    green=(*BASE, *every()),
    hints=(
        "A server has an address, and nobody gets in.",
        "Its console tells of metadata, and of a number: 500, 503, 403.",
        "Who answers at 169.254.169.254, and whom does he ask?",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the two sides of the metadata service disagree about their secret, or stop one."""
    variant, _ = scene.choose(random, _VARIANTS)
    gateway, nova = (scene.nodes(role)[0] for role in ("gateway", "nova"))
    if variant == "nova api":
        return stopped(
            nova,
            "nova-api-metadata",
            service="nova-api-metadata",
            variant=variant,
            red=("C11",),
            explanation=f"nova-api-metadata of {nova.name} is stopped.",
        )
    node, path, section, unit, service = (
        (gateway.name, _AGENT, "DEFAULT", "neutron-metadata-agent", "neutron-metadata-agent")
        if variant == "gateway secret"
        else (nova.name, SERVICES["nova"].conf, "neutron", "nova-api-metadata", "nova-api-metadata")
    )
    option = "metadata_proxy_shared_secret"
    return Drawn(
        node=node,
        service=service,
        variant=variant,
        red=("C11",),
        breaks=(
            Break(
                node=node,
                change=Respell(path=path, section=section, option=option, find="^(...)", put=r"\1x"),
                restart=(unit,),
            ),
        ),
        explanation=f"[{section}] {option} in {path} of {node} has an x too many, its letter number 4.",
        repair=(corrected(node, path, section, rf"s/^\({option} *= *...\)x/\1/", (unit,)),),
    )
