"""C16: the way out."""

from __future__ import annotations

from labctl.checks import bench
from labctl.checks.log import Log, Wrong, cloud_check


@cloud_check(
    "C16",
    "A server without a floating address gets out",
    exercises="SNAT, gateway, routes",
    needs=("C11",),
    limit=(60, 180),
)
def out(log: Log) -> None:
    """See on the first server's console whether its user data, which ran before it had a floating address, could open a
    connection to a public endpoint beyond the router."""
    output = bench.console(log, bench.first(log))
    with log.step("to a public endpoint", node=log.cloud.node("gateway"), suspect="neutron-l3-agent"):
        if f"{bench.OUT} is open" not in output:
            closed = f"{bench.OUT} is closed" in output
            raise Wrong("the connection did not come about" if closed else "its user data said nothing")
