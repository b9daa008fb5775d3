"""BA-04: the resolver asks a server that is none."""

from __future__ import annotations

from random import Random

from labctl.changes import PutFile
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-04",
    "Strangers' names take for ever",
    level=2,
    lasts="file",
    group="resolver",
    red=("B02",),
    green=("B01", "B03", "B10"),
    hints=(
        "Names of the lab are fast. Ask for one that is not of the lab.",
        "Which server is asked, and does it answer? Compare with another node.",
        "What is /etc/resolv.conf on the other node: a file?",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Put a file with a wrong server in the place of one node's link /etc/resolv.conf."""
    node = scene.pick(random)
    right = next(network.gateway for network in scene.lab.networks if network.gateway is not None)
    wrong = f"{str(right).rpartition('.')[0]}.{random.randrange(200, 250)}"
    return Drawn(
        node=node.name,
        service="resolver",
        breaks=(Break(node=node.name, change=PutFile(path="/etc/resolv.conf", content=f"nameserver {wrong}\n")),),
        explanation=f"/etc/resolv.conf of {node.name} is a file that names {wrong}; it was a link to what the lease "
        f"says, which is {right}.",
        repair=(Typed(node=node.name, line="ln -sf ../run/labctl-resolv.conf /etc/resolv.conf"),),
        alternative=(Typed(node=node.name, line=f"echo 'nameserver {right}' >/etc/resolv.conf"),),
        cheat=(Typed(node=node.name, line="rm /etc/resolv.conf"),),
    )
