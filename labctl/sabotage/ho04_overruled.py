"""HO-04: a file that few know of has the last word."""

from __future__ import annotations

from random import Random

from labctl.changes import PutFile
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, every, restart

_UNIT = "neutron-rpc-server"


@fault(
    "HO-04",
    "Your edits do nothing",
    level=3,
    lasts="file",
    group="broker-url",
    red=("C05",),
    green=(*BASE, *every(), "C04:services"),
    hints=(
        "The file that people edit is right, and has no say.",
        "`systemctl cat`, the script, its arguments.",
        "Which files does the process read, in which order? *.conf.d",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Put a file with another broker into a folder that Neutron's RPC server reads after neutron.conf."""
    node, path = scene.pick(random, "neutron").name, "/etc/neutron/server.conf.d/10-site.conf"
    text = f"[DEFAULT]\ntransport_url = rabbit://openstack:openstack@{scene.free_address(random)}:5672/\n"
    return Drawn(
        node=node,
        service="neutron-rpc-server",
        breaks=(
            Break(
                node=node,
                change=PutFile(path=path, content=text, owner="root:neutron", mode=0o640),
                restart=(_UNIT,),
                waits=False,
            ),
        ),
        explanation=f"{path} of {node} names another broker; {_UNIT} reads it after neutron.conf.",
        repair=(Typed(node=node, line=f"rm {path}; {restart(_UNIT)}"),),
        alternative=(Typed(node=node, line=f": >{path}; {restart(_UNIT)}"),),
    )
