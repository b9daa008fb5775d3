"""Time: a lab has no internet, so its first node's clock is everybody's."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Packages, PutFile, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Step, role


@role("chrony", "Time", chapter=1, networks=(), everywhere=True)
def chrony(cloud: Cloud, node: str) -> Iterator[Step]:
    """Keep the clocks of the lab together."""
    first = cloud.clock()
    source = "local stratum 8\nallow" if node == first else f"server {cloud.address(first)} iburst"
    yield Step(
        title="chrony follows the lab's clock",
        node=node,
        live=True,
        actions=(
            Packages(names=("chrony",)),
            PutFile(path="/etc/chrony/sources.d/lab.sources", content="# The lab's own clock: conf.d/lab.conf.\n"),
            PutFile(path="/etc/chrony/conf.d/lab.conf", content=f"{source}\nmakestep 1 -1\n"),
            Unit(names=("chrony",)),
            Wait(until="chronyc -n tracking >/dev/null", what="chrony answers"),
        ),
    )
