"""DA-02: the dashboard looks for Keystone at another port."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, restart

_MEND = r"sed -i 's/^\(OPENSTACK_KEYSTONE_URL.*\):5005/\1:5000/'"


@fault(
    "DA-02",
    "The form appears, and that is all",
    level=1,
    lasts="file",
    group="dashboard",
    red=("C20:login",),
    green=(*BASE, *every()),
    hints=(
        "The command line works.",
        "Whom does the dashboard ask when somebody logs in?",
        "Which file of settings was read last? local_settings.d",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the dashboard look for Keystone at another port."""
    node, path = scene.pick(random, "horizon").name, "/etc/openstack-dashboard/local_settings.d/_60_lab.py"
    return Drawn(
        node=node,
        service="apache2",
        breaks=(
            Break(
                node=node,
                change=Line(path=path, match=r"(OPENSTACK_KEYSTONE_URL = .*):5000(.*)", line=r"\1:5005\2"),
                restart=("apache2",),
            ),
        ),
        explanation=f"OPENSTACK_KEYSTONE_URL in {path} of {node} has port 5005; Keystone is at 5000.",
        repair=(Typed(node=node, line=f"{_MEND} {path}; {restart('apache2')}"),),
        cheat=(Typed(node=node, line=restart("apache2")),),
    )
