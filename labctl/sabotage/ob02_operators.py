"""OB-02: the object store is for the administrator alone."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, corrected, every, restart

_FILE = "/etc/swift/proxy-server.conf"
_SECTION = "filter:keystoneauth"
_UNIT = "swift-proxy"
_VARIANTS = {"swift other": "admin, swiftoperator", "swift plural": "admin, members", "swift admin": "admin"}


@fault(
    "OB-02",
    "The administrator sees nothing wrong",
    level=2,
    lasts="file",
    group="objects",
    red=("C24",),
    green=(*BASE, "C02:swift", *every()),
    hints=(
        "One user is forbidden what another may do.",
        "The token is right, and the answer is 403: who decides what a role may do?",
        "Compare `openstack role assignment list --names` with [filter:keystoneauth] of the proxy.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have Swift's proxy take other roles than the users have."""
    variant, roles = scene.choose(random, _VARIANTS)
    node = scene.pick(random, "swift").name
    mended = corrected(node, _FILE, _SECTION, "s/^operator_roles *=.*/operator_roles = admin, member/", (_UNIT,))
    return Drawn(
        node=node,
        service="swift",
        variant=variant,
        breaks=(
            Break(
                node=node,
                change=Ini(path=_FILE, values={_SECTION: {"operator_roles": roles}}, dialect="plain"),
                restart=(_UNIT,),
            ),
        ),
        explanation=f"operator_roles in [{_SECTION}] of {_FILE} of {node} is {roles}; demo's role is member.",
        repair=(mended,),
        cheat=(Typed(node=node, line=restart(_UNIT)),),
    )
