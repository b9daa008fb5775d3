"""CP-06: an API listens at another port."""

from __future__ import annotations

from random import Random

from labctl.changes import Ini, Line
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, corrected, every, listed, restart

_VARIANTS = {"nova": 8774, "cinder": 8776, "placement": 8778, "neutron": 9696, "heat": 8004, "glance": 9292}


@fault(
    "CP-06",
    "Active, and not at home",
    level=2,
    lasts="file",
    group="ports",
    red=("C02:nova", "C02:cinder", "C02:placement", "C02:neutron", "C02:heat", "C02:glance"),
    green=(*BASE, *every()),
    hints=(
        "`ss -ltnp` against the catalogue.",
        "Debian starts it through a script.",
        "Where does the port come from: /etc/init.d and /etc/default, or the main file?",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have one API listen ten ports away."""
    name, port = scene.choose(random, _VARIANTS)
    service, node = SERVICES[name], scene.nodes(name)[0].name
    wrong, script = port + 10, f"/etc/init.d/{service.api}"
    mend = f"sed -i s/^UWSGI_PORT={wrong}/UWSGI_PORT={port}/ {script}; systemctl daemon-reload; {restart(service.api)}"
    return Drawn(
        node=node,
        service=name,
        variant=name,
        red=(f"C02:{name}",),
        green=(*BASE, *listed(scene, name)),
        breaks=(
            Break(
                node=node,
                change=Line(path=script, match=f"UWSGI_PORT={port}", line=f"UWSGI_PORT={wrong}")
                if name != "glance"
                else Ini(path=service.conf, values={"DEFAULT": {"bind_port": wrong}}),
                restart=(service.api,),
            ),
        ),
        explanation=f"{service.api} of {node} listens at {wrong} instead of {port}: "
        f"{script if name != 'glance' else f'bind_port in {service.conf}'}.",
        repair=(Typed(node=node, line=mend),)
        if name != "glance"
        else (corrected(node, service.conf, "DEFAULT", f"s/^bind_port = {wrong}/bind_port = {port}/", (service.api,)),),
        cheat=(Typed(node=node, line=restart(service.api)),),
    )
