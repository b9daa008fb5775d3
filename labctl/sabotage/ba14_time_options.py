"""BA-14: the time service is started with an option that ends it."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-14",
    "It starts, and is gone",
    level=2,
    lasts="file",
    group="time",
    red=("B05", "B08"),
    green=("B01", "B02", "B03"),
    hints=(
        "A unit has failed. What do its last lines say?",
        "Its configuration is right. Which file does it read?",
        "`systemctl cat` names a file with options.",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Start one node's time service with the name of a configuration that there is not."""
    node = scene.pick(random)
    file = random.choice(("/etc/chrony/chronyd.conf", "/etc/chrony.conf", "/etc/chrony/chrony.cfg"))
    return Drawn(
        node=node.name,
        service="chrony",
        breaks=(
            Break(
                node=node.name,
                change=Line(path="/etc/default/chrony", match=r'DAEMON_OPTS=""', line=f'DAEMON_OPTS="-f {file}"'),
                restart=("chrony",),
            ),
        ),
        explanation=f"/etc/default/chrony of {node.name} has chronyd read {file}, which does not exist; it reads "
        "/etc/chrony/chrony.conf by itself.",
        repair=(
            Typed(
                node=node.name,
                line="sed -i 's/^DAEMON_OPTS=.*/DAEMON_OPTS=\"\"/' /etc/default/chrony; systemctl restart chrony",
            ),
        ),
        alternative=(
            Typed(node=node.name, line="sed -i '/^DAEMON_OPTS/d' /etc/default/chrony; systemctl restart chrony"),
        ),
        cheat=(Typed(node=node.name, line="systemctl reset-failed chrony"),),
    )
