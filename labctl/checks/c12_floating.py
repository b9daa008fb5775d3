"""C12: floating addresses."""

from __future__ import annotations

from labctl.checks import bench
from labctl.checks.log import Log, cloud_check


@cloud_check(
    "C12",
    "A server answers at a floating address",
    exercises="pool, L3 agent, router, NAT, the default group's rules",
    needs=("C11",),
    limit=(120, 300),
)
def floating(log: Log) -> None:
    """Give the first server a floating address and open a connection to it from outside the nodes."""
    bench.address(log, bench.first(log))
