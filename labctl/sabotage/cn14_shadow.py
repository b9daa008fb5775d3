"""CN-14: a module of Python stands before the one of the package."""

from __future__ import annotations

from random import Random

from labctl.changes import PutFile
from labctl.sabotage.fault import Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, changed, every, restart

_FOLDER = "/usr/local/lib/python3.13/dist-packages"
_VARIANTS = {
    "compute os_vif": ("os_vif", "nova-compute", "C04:services", ("nova", "neutron")),
    "compute os_ken": ("os_ken", "neutron-openvswitch-agent", "C05", ("nova", "neutron")),
    "glance": ("glance_store", "glance-api", "C02:glance", ()),
}


@fault(
    "CN-14",
    "The packages verify clean",
    level=3,
    lasts="file",
    group="python",
    red=("C02:glance", "C04:services", "C05"),
    green=(*BASE, *every()),
    hints=(
        "A service does not start, and `dpkg -V` finds nothing.",
        "Its log ends in an ImportError or an AttributeError.",
        "Where does Python take the module from? The path in the traceback.",
    ),
    stages=("installed",),
    variants=_VARIANTS,
    pool=False,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Put an old, empty module before the one that a service needs."""
    variant, (module, unit, red, others) = scene.choose(
        random, _VARIANTS, lambda name: scene.apart(random, name.split()[0], *_VARIANTS[name][3])
    )
    node, path = scene.apart(random, variant.split()[0], *others).name, f"{_FOLDER}/{module}.py"
    return changed(
        node,
        PutFile(path=path, content='__version__ = "0.9"\n'),
        unit,
        waits=False,
        variant=variant,
        red=(red,),
        green=(*BASE, *every("glance")) if variant == "glance" else (*BASE, *every()),
        explanation=f"{path} of {node} comes before the package's {module}, and is empty but for its version.",
        repair=(Typed(node=node, line=f"rm {path}; {restart(unit)}"),),
        cheat=(Typed(node=node, line=restart(unit)),),
    )
