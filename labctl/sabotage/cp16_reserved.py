"""CP-16: all hosts are kept for another project."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, every, in_cloud, openstack

_NAME = "partners"


@fault(
    "CP-16",
    "Not for you",
    level=3,
    lasts="data",
    group="aggregates",
    red=("C10",),
    green=(*BASE, *every(), "C04:services", "C05", "C09"),
    hints=(
        "There is no valid host, for this project.",
        "Does it work for another project? What sorts hosts by project?",
        "`openstack aggregate show`: properties.",
    ),
    stages=("installed",),
    pool=False,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Reserve all compute nodes for a project that is gone."""
    node, owner = scene.pick(random, "nova").name, f"{random.getrandbits(128):032x}"
    hosts = sorted(each.name for each in scene.nodes("compute"))
    remove = "; ".join(f"openstack aggregate remove host {_NAME} {host}" for host in hosts)
    return Drawn(
        node=node,
        service="nova",
        breaks=(
            in_cloud(scene, f"aggregate {_NAME}", values={"hosts": hosts, "metadata": {"filter_tenant_id": owner}}),
        ),
        explanation=f"The aggregate {_NAME} has all hosts and filter_tenant_id {owner}, which is nobody's.",
        repair=(openstack(node, f"openstack aggregate unset --property filter_tenant_id {_NAME}"),),
        alternative=(openstack(node, remove, f"openstack aggregate delete {_NAME}"),),
    )
