"""DA-02: the dashboard looks for Keystone at another port."""

from __future__ import annotations

from random import Random

from labctl.changes import Line
from labctl.sabotage.fault import Drawn, Scene, fault
from labctl.sabotage.services import BASE, SETTINGS, dashboard, every


@fault(
    "DA-02",
    "The form appears, and that is all",
    level=1,
    lasts="file",
    group="dashboard",
    red=("C20:login",),
    green=(*BASE, *every()),
    hints=(
        "The command line works.",
        "Whom does the dashboard ask when somebody logs in?",
        "Which file of settings was read last? local_settings.d",
    ),
    stages=("installed",),
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Have the dashboard look for Keystone at another port."""
    change = Line(path=SETTINGS, match=r"(OPENSTACK_KEYSTONE_URL = .*):5000(.*)", line=r"\1:5005\2")
    sed = r"s/^\(OPENSTACK_KEYSTONE_URL.*\):5005/\1:5000/"
    return dashboard(
        scene, random, change, sed, "OPENSTACK_KEYSTONE_URL in {where} has port 5005; Keystone is at 5000."
    )
