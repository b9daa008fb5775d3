"""BA-06: a card has another address."""

from __future__ import annotations

from random import Random

from netaddr import IPAddress

from labctl.changes import Card
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-06",
    "Nobody lives at that number any more",
    level=1,
    lasts="runtime",
    group="cards",
    red=("B03", "B10"),
    green=("B01", "B02"),
    hints=(
        "One node is silent on one network. Does it hear itself?",
        "Compare the number in /etc/hosts with the one on its card.",
        "`ip -br addr` on that node.",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Give one inner card of a node another address of its network."""
    node, card, _, _ = scene.wired(random)
    assert card.address is not None
    subnet = scene.lab.network(card.network).subnet
    assert subnet is not None
    taken = {nic.address for other in scene.lab.nodes for nic in other.nics}
    steps = [step for step in (10, 20, 30, 40, 50) if IPAddress(int(card.address) + step) not in taken]
    wrong = f"{IPAddress(int(card.address) + random.choice(steps))}/{card.prefix}"
    right = f"{card.address}/{card.prefix}"
    swap = f"ip addr del {wrong} dev {card.name} && ip addr add {right} brd + dev {card.name}"
    return Drawn(
        node=node.name,
        service=f"network {card.network}",
        breaks=(Break(node=node.name, change=Card(card=card.name, address=wrong)),),
        explanation=f"{card.name} of {node.name} has {wrong} instead of {right}. Its configuration is right: "
        "a restart of the network brings it back.",
        repair=(Typed(node=node.name, line=swap),),
        alternative=(
            Typed(node=node.name, line=f"ip addr flush dev {card.name}; networkctl reconfigure {card.name}; sleep 3"),
        ),
        cheat=(Typed(node=node.name, line=f"ip addr add {right} dev {card.name}"),),
    )
