"""CE-04: the gateway of objects is closed, or lets nobody in."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, changed, every, restart, stopped

_FILE = "/etc/ceph/ceph.conf"
_RIGHT = "ceph-rgw"
_VARIANTS = {"ceph-rgw stopped": "", "ceph-rgw swift": "swift", "ceph-rgw short": "rgw"}


@fault(
    "CE-04",
    "The store is whole, the shop is closed",
    level=1,
    lasts="file",
    group="objects",
    red=("C02:ceph-rgw", "C24"),
    green=(*BASE, *every(), "C29:cluster"),
    hints=(
        "All services answer but one, and what it stands on is well.",
        "Does something listen on port 8080? As whom does it ask Keystone about your token?",
        "`systemctl status 'ceph-radosgw@*'`; then rgw_keystone_admin_user, and `openstack user list`.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Stop Ceph's gateway of objects, or have it ask Keystone about tokens as a user whom Keystone does not have."""
    variant, user = scene.choose(random, _VARIANTS)
    node = scene.pick(random, "ceph-rgw")
    unit = f"ceph-radosgw@rgw.{node.name}"
    if not user:
        return stopped(
            node, unit, service="ceph-rgw", variant=variant, explanation=f"{unit} of {node.name} is stopped."
        )
    again = restart(unit)
    return changed(
        node.name,
        Line(path=_FILE, match=r"rgw_keystone_admin_user = .*", line=f"rgw_keystone_admin_user = {user}"),
        unit,
        service="ceph-rgw",
        variant=variant,
        red=("C24",),
        green=(*BASE, *every(), "C29:cluster", "C02:ceph-rgw"),
        explanation=f"rgw_keystone_admin_user in {_FILE} of {node.name} is {user}; Keystone has {_RIGHT}.",
        repair=(
            Typed(
                node=node.name,
                line=f"sed -i 's/^rgw_keystone_admin_user = .*/rgw_keystone_admin_user = {_RIGHT}/' {_FILE}; {again}",
            ),
        ),
        cheat=(Typed(node=node.name, line=again),),
    )
