"""CP-18: one verb is forbidden to everybody."""

from __future__ import annotations

from random import Random

from labctl.changes import Line, PutFile
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, every, listed, restart

_VARIANTS = {
    "neutron": ("/etc/neutron/policy.d/00_default_policy.yaml", "create_router", "C09"),
    "cinder": ("/etc/cinder/policy.yaml", "volume:create", "C08:blank"),
    "nova": ("/etc/nova/policy.d/00_default_policy.yaml", "os_compute_api:servers:create", "C10"),
}


@fault(
    "CP-18",
    "403, and only for this",
    level=2,
    lasts="file",
    group="policy",
    red=("C09", "C08:blank", "C10"),
    green=(*BASE, *every()),
    hints=(
        "Lists work. One verb is 403 for everybody, the administrator too.",
        "Who says what is allowed? It is a file.",
        "The policy of that service: `!` is nobody.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Forbid one verb of one service to everybody."""
    name, (path, rule, red) = scene.choose(random, _VARIANTS)
    node, service = scene.nodes(name)[0].name, SERVICES[name]
    return Drawn(
        node=node,
        service=name,
        variant=name,
        red=(red,),
        green=(*BASE, *listed(scene)),
        breaks=(
            Break(
                node=node,
                change=Line(path=path, match=f'#?"{rule}": .*', line=f'"{rule}": "!"')
                if name != "cinder"
                else PutFile(path=path, content=f'"{rule}": "!"\n', owner="root:cinder", mode=0o640),
                restart=(service.api,),
            ),
        ),
        explanation=f"{path} of {node} gives {rule} to nobody: `!`.",
        repair=(Typed(node=node, line=f"sed -i '/^\"{rule}\"/d' {path}; {restart(service.api)}"),),
        cheat=(Typed(node=node, line=restart(service.api)),) if red != "C10" else (),
    )
