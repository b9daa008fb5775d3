"""NW-10: floating addresses come from a network that nobody knows."""

from __future__ import annotations

from random import Random

from netaddr import IPAddress, IPNetwork

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, in_cloud, openstack

_NAME = "public-2"


@fault(
    "NW-10",
    "An address that nobody answers at",
    level=3,
    lasts="data",
    group="floating",
    red=("C12",),
    green=(*BASE, *every(), "C10"),
    hints=(
        "You get an address, and it is silent.",
        "Compare it with one that works, digit by digit.",
        "`openstack subnet list --network public`",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Give the public network further addresses that look like the right ones, and take those away."""
    node, (first, last) = scene.pick(random, "neutron").name, scene.floating()
    wrong = _similar(first)
    given = f"openstack floating ip list -f value -c 'Floating IP Address' | grep ^{str(wrong.ip).removesuffix('0')}"
    return Drawn(
        node=node,
        service="neutron",
        breaks=(
            in_cloud(scene, f"more-addresses public {_NAME}", values={"cidr": str(wrong)}),
            in_cloud(scene, "subnet public", values={"allocation_pools": []}),
        ),
        explanation=f"The network public has a second subnet {_NAME}, {wrong}: no way leads there. The right "
        f"one has no allocation pool; it was {first} to {last}.",
        repair=(
            openstack(
                node,
                f"openstack subnet set --no-allocation-pool --allocation-pool start={first},end={last} public",
                f"{given} | xargs -r openstack floating ip delete",
                f"openstack subnet delete {_NAME}",
            ),
        ),
    )


def _similar(right: IPAddress) -> IPNetwork:
    """Return addresses that are read for others, and are outside their network: 172.61.1.0 for 172.16.1.0."""
    one, two, three, _ = str(right).split(".")
    turned = int(two[::-1])
    return IPNetwork(f"{one}.{10 if str(turned) == two or turned > 255 else turned}.{three}.0/24")
