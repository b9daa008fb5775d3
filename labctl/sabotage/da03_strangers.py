"""DA-03: the dashboard answers only to one name."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, restart

_MEND = """sed -i 's/^ALLOWED_HOSTS = .*/ALLOWED_HOSTS = ["*"]/'"""


@fault(
    "DA-03",
    "400 for strangers",
    level=1,
    lasts="file",
    group="dashboard",
    red=("C20:login",),
    green=(*BASE, *every()),
    hints=(
        "The command line works, and the page says 400.",
        "On its own node, by another name, the page appears.",
        "Which file of settings was read last? ALLOWED_HOSTS",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the dashboard answer to the name localhost alone."""
    node, path = scene.pick(random, "horizon").name, "/etc/openstack-dashboard/local_settings.d/_60_lab.py"
    return Drawn(
        node=node,
        service="apache2",
        breaks=(
            Break(
                node=node,
                change=Line(path=path, match=r"ALLOWED_HOSTS = .*", line='ALLOWED_HOSTS = ["localhost"]'),
                restart=("apache2",),
            ),
        ),
        explanation=f"ALLOWED_HOSTS in {path} of {node} is localhost alone; it was every name.",
        repair=(Typed(node=node, line=f"{_MEND} {path}; {restart('apache2')}"),),
        cheat=(Typed(node=node, line=restart("apache2")),),
    )
