"""KS-19: Keystone listens to its own node alone."""

from __future__ import annotations

from random import Random

from labctl.changes import PutFile
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import restart

_CONTENT = 'DAEMON_ARGS="--http-socket 127.0.0.1:5000 --ini /etc/keystone/keystone-uwsgi.ini"\n'


@fault(
    "KS-19",
    "At home it answers",
    level=2,
    lasts="file",
    group="keystone",
    red=("C01",),
    green=("B01",),
    hints=(
        "Try the same login on Keystone's node and on another one.",
        "`ss -ltnp` against the catalogue.",
        "Debian starts it through a script: /etc/init.d and /etc/default.",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have Keystone listen on its node's loopback alone."""
    node, path = scene.pick(random, "keystone").name, "/etc/default/keystone"
    return Drawn(
        node=node,
        service="keystone",
        breaks=(Break(node=node, change=PutFile(path=path, content=_CONTENT), restart=("keystone",)),),
        explanation=f"{path} of {node} has Keystone listen at 127.0.0.1.",
        repair=(Typed(node=node, line=f"sed -i /DAEMON_ARGS/d {path}; {restart('keystone')}"),),
        cheat=(Typed(node=node, line=restart("keystone")),),
    )
