"""EC-01: EC2's API is closed, or the catalogue tells another port."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, endpoint, every, in_cloud, openstack, stopped

_UNIT = "ec2-api"
_VARIANTS = {"ec2 stopped": "stopped", "ec2 catalogue": "catalogue"}


@fault(
    "EC-01",
    "Somebody else's dialect",
    level=1,
    lasts="data",
    group="ec2",
    red=("C02:ec2",),
    green=(*BASE, *every()),
    hints=(
        "All that OpenStack's own clients ask for works.",
        "Who asks in Amazon's words goes to another door. Which does the catalogue name, and what listens there?",
        "`systemctl status ec2-api`; `openstack endpoint list --service ec2`",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop EC2's API, or give its public endpoint the port of nobody."""
    variant, how = scene.choose(random, _VARIANTS)
    node = scene.pick(random, "ec2")
    if how == "stopped":
        explanation = f"{_UNIT} of {node.name} is stopped."
        return stopped(node, _UNIT, service="ec2", variant=variant, explanation=explanation)
    wrong = random.choice((8733, 8788, 8783))
    return Drawn(
        node=scene.nodes("keystone")[0].name,
        service="keystone",
        variant=variant,
        breaks=(in_cloud(scene, "endpoint ec2 public", respelled={"url": (":8773", f":{wrong}")}),),
        explanation=f"The public endpoint of EC2's API has port {wrong} instead of 8773.",
        repair=(
            openstack(
                node.name,
                f"id=$({endpoint('ec2')})",
                f"url=$(openstack endpoint show $id -f value -c url | sed s/:{wrong}/:8773/)",
                'openstack endpoint set --url "$url" $id',
            ),
        ),
    )
