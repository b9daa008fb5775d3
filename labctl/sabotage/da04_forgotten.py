"""DA-04: the dashboard keeps sessions nowhere."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, restart

_MEND = "sed -i s/:11212/:11211/"


@fault(
    "DA-04",
    "Logged in and forgotten",
    level=2,
    lasts="file",
    group="dashboard",
    red=("C20:login",),
    green=(*BASE, *every()),
    hints=(
        "The form appears, and a login leads nowhere.",
        "Where does the dashboard keep sessions?",
        "CACHES in the settings that were read last, against `ss -ltn`.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the dashboard keep its sessions at a port where nobody is."""
    node, path = scene.pick(random, "horizon").name, "/etc/openstack-dashboard/local_settings.d/_60_lab.py"
    return Drawn(
        node=node,
        service="apache2",
        breaks=(
            Break(
                node=node,
                change=Line(path=path, match=r"(.*\"LOCATION\": .*):11211(.*)", line=r"\1:11212\2"),
                restart=("apache2",),
            ),
        ),
        explanation=f"CACHES in {path} of {node} has port 11212; memcached is at 11211.",
        repair=(Typed(node=node, line=f"{_MEND} {path}; {restart('apache2')}"),),
        cheat=(Typed(node=node, line=restart("apache2")),),
    )
