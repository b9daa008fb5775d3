"""EC-02: EC2's API cannot have signatures checked."""

from __future__ import annotations

from random import Random

from labctl.changes import Respell
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, corrected, every, in_cloud, openstack, restart

_FILE = "/etc/ec2/ec2.conf"
_SECTION = "keystone_authtoken"
_UNIT = "ec2-api"
_VARIANTS = {"ec2 role": "role", "ec2 name": "name"}


@fault(
    "EC-02",
    "Nobody knows your signature",
    level=2,
    lasts="data",
    group="ec2",
    red=("X3",),
    green=(*BASE, "C02:ec2", *every()),
    hints=(
        "The door is open, and no key fits: not an old one, not a new one.",
        "The API does not know keys itself. Whom does it ask, and as who?",
        "`journalctl -u ec2-api`; /etc/ec2/ec2.conf; the roles of the user ec2 in the project service.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Take the role service from the user of EC2's API, or have the API log in under another name."""
    variant, how = scene.choose(random, _VARIANTS)
    node = scene.pick(random, "ec2").name
    if how == "role":
        return Drawn(
            node=scene.nodes("keystone")[0].name,
            service="keystone",
            variant=variant,
            breaks=(in_cloud(scene, "roles ec2 service", values={"roles": []}),),
            explanation="The user ec2 has no role in the project service any more; it had the role service, with which "
            "Keystone tells about signatures.",
            repair=(openstack(node, "openstack role add --user ec2 --project service service"),),
        )
    wrong = random.choice(("ec2api", "ec-2", "aws"))
    return Drawn(
        node=node,
        service="ec2",
        variant=variant,
        breaks=(
            Break(
                node=node,
                change=Respell(path=_FILE, section=_SECTION, option="username", find="^ec2$", put=wrong),
                restart=(_UNIT,),
            ),
        ),
        explanation=f"[{_SECTION}] username in {_FILE} of {node} is {wrong}; the user is called ec2.",
        repair=(corrected(node, _FILE, _SECTION, f"s/^username = {wrong}$/username = ec2/", (_UNIT,)),),
        cheat=(Typed(node=node, line=restart(_UNIT)),),
    )
