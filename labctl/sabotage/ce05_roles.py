"""CE-05: the gateway of objects takes other roles than the users have."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, changed, every, restart

_FILE = "/etc/ceph/ceph.conf"
_OPTION = "rgw_keystone_accepted_roles"
# "Member, admin" is what Ceph takes where nobody says anything; Keystone's own role is member.
_VARIANTS = {"ceph-rgw default": "Member, admin", "ceph-rgw plural": "admin, members", "ceph-rgw admin": "admin"}


@fault(
    "CE-05",
    "Enough for some",
    level=2,
    lasts="file",
    group="objects",
    red=("C24",),
    green=(*BASE, *every(), "C29:cluster", "C02:ceph-rgw"),
    hints=(
        "The administrator stores objects, and other users do not.",
        "The token is right: who decides which roles may store something?",
        "Compare `openstack role assignment list --names` with the gateway's section of /etc/ceph/ceph.conf.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have Ceph's gateway of objects take other roles than the users have."""
    variant, roles = scene.choose(random, _VARIANTS)
    node = scene.pick(random, "ceph-rgw").name
    again = restart(unit := f"ceph-radosgw@rgw.{node}")
    return changed(
        node,
        Line(path=_FILE, match=rf"{_OPTION} = .*", line=f"{_OPTION} = {roles}"),
        unit,
        service="ceph-rgw",
        variant=variant,
        explanation=f"{_OPTION} in {_FILE} of {node} is {roles}; demo's role is member.",
        repair=(Typed(node=node, line=f"sed -i 's/^{_OPTION} = .*/{_OPTION} = admin, member/' {_FILE}; {again}"),),
        cheat=(Typed(node=node, line=again),),
    )
