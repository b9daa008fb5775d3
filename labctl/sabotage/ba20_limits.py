"""BA-20: users may start nothing."""

from __future__ import annotations

from random import Random

from labctl.changes import PutFile
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault


@fault(
    "BA-20",
    "Nobody may begin anything",
    level=3,
    lasts="file",
    group="limits",
    red=("B11",),
    green=("B01", "B02", "B03", "B08"),
    hints=(
        "Root works as ever. Become somebody else by `su`.",
        "Who is asked when a session begins, before the shell?",
        "pam_limits reads more than one file.",
    ),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Limit all users of one node but root to no process, or to files of no size."""
    node = scene.pick(random)
    what = random.choice(("nproc", "fsize"))
    path = f"/etc/security/limits.d/{random.choice(('50-site', '90-users', '20-hardening'))}.conf"
    return Drawn(
        node=node.name,
        service="users' rights",
        breaks=(Break(node=node.name, change=PutFile(path=path, content=f"*\thard\t{what}\t0\n")),),
        explanation=f"{path} of {node.name} sets the limit {what} of all users to 0; `*` does not mean root.",
        repair=(Typed(node=node.name, line=f"rm {path}"),),
        alternative=(Typed(node=node.name, line=f"sed -i 's/\\b0$/unlimited/' {path}"),),
        cheat=(Typed(node=node.name, line="ulimit -u unlimited; ulimit -f unlimited"),),
    )
