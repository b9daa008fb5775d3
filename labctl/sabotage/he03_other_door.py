"""HE-03: CloudFormation's API is closed, or the catalogue tells another port."""

from __future__ import annotations

from random import Random

from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, endpoint, every, in_cloud, openstack, stopped

_UNIT = "heat-api-cfn"
_VARIANTS = {"heat-cfn stopped": "stopped", "heat-cfn catalogue": "catalogue"}


@fault(
    "HE-03",
    "The other door to stacks",
    level=1,
    lasts="data",
    group="heat",
    red=("C02:heat-cfn",),
    green=(*BASE, *every(), "C02:heat"),
    hints=(
        "Stacks are made as ever. There is a second API for them.",
        "Compare what the catalogue says of it with what listens: `ss -ltnp` on Heat's node.",
        "`systemctl status heat-api-cfn`; `openstack endpoint list --service cloudformation`",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop CloudFormation's API, or give its public endpoint the port of nobody."""
    variant, how = scene.choose(random, _VARIANTS)
    node = scene.pick(random, "heat-cfn")
    if how == "stopped":
        explanation = f"{_UNIT} of {node.name} is stopped."
        return stopped(node, _UNIT, service="heat-cfn", variant=variant, explanation=explanation)
    wrong = 8000 + random.choice((8, 10, 100))
    return Drawn(
        node=scene.nodes("keystone")[0].name,
        service="keystone",
        variant=variant,
        breaks=(in_cloud(scene, "endpoint cloudformation public", respelled={"url": (":8000", f":{wrong}")}),),
        explanation=f"The public endpoint of CloudFormation's API has port {wrong} instead of 8000.",
        repair=(
            openstack(
                node.name,
                f"id=$({endpoint('cloudformation')})",
                f"url=$(openstack endpoint show $id -f value -c url | sed s/:{wrong}/:8000/)",
                'openstack endpoint set --url "$url" $id',
            ),
        ),
    )
