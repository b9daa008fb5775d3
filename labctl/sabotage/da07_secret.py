"""DA-07: the dashboard's secret may be read by everybody."""

from __future__ import annotations

from random import Random

from labctl.changes import Permissions
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, restart


@fault(
    "DA-07",
    "The secret is too public",
    level=2,
    lasts="file",
    group="dashboard",
    red=("C20:login", "C02:dashboard"),
    green=(*BASE, *every()),
    hints=(
        "The command line works, and the page says 500.",
        "The web server's log has the reason in plain words.",
        "The mode of .secret_key_store.",
    ),
    stages=("installed",),
    pool=False,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Open the dashboard's secret key to everybody, which it does not accept."""
    node, path = scene.pick(random, "horizon").name, "/var/lib/openstack-dashboard/secret-key/.secret_key_store"
    return Drawn(
        node=node,
        service="apache2",
        breaks=(Break(node=node, change=Permissions(path=path, mode=0o644), restart=("apache2",)),),
        explanation=f"{path} of {node} has mode 644; the dashboard insists on 600.",
        repair=(Typed(node=node, line=f"chmod 600 {path}; {restart('apache2')}"),),
        cheat=(Typed(node=node, line=restart("apache2")),),
    )
