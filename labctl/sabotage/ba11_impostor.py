"""BA-11: a node answers for an address that nobody has."""

from __future__ import annotations

from random import Random

from labctl.changes import Card
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-11",
    "Somebody answers who should not be there",
    level=3,
    lasts="runtime",
    group="cards",
    red=("B04", "B10"),
    green=("B01", "B02", "B03"),
    hints=(
        "Everything that is planned works. What works that is not planned?",
        "Ping the first address of each inner network. Whose MAC answers?",
        "`ip neigh` names the MAC, `ip -br link` on the nodes its owner.",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Give one inner card of a node a second address: the first of its network, where people expect a router."""
    node, card, _, _ = scene.wired(random)
    subnet = scene.lab.network(card.network).subnet
    assert subnet is not None
    taken = {str(nic.address) for other in scene.lab.nodes for nic in other.nics}
    first = next(address for address in (str(subnet[1]), str(subnet[-2])) if address not in taken)
    extra = f"{first}/{card.prefix}"
    return Drawn(
        node=node.name,
        service=f"network {card.network}",
        breaks=(Break(node=node.name, change=Card(card=card.name, extra=extra)),),
        explanation=f"{card.name} of {node.name} has a second address, {extra}: people take it for a router.",
        repair=(Typed(node=node.name, line=f"ip addr del {extra} dev {card.name}"),),
    )
