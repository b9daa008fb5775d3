"""C10: a server on every compute node."""

from __future__ import annotations

from labctl.checks import bench
from labctl.checks.log import Log, cloud_check


@cloud_check(
    "C10",
    "A server is ACTIVE on every compute node",
    exercises="API, scheduler, Placement, conductor, queue, Glance, Neutron's binding and its report to Nova, libvirt",
    needs=("C04:services", "C04:providers", "C03:glance", "C03:neutron"),
    limit=(300, 1500),
)
def servers(log: Log) -> None:
    """Boot the image *instance* on every compute node and wait until each server is ACTIVE there. Where there is one
    compute node alone, demo boots it as every member would; where there are several, the admin names the node, in
    demo's project. The servers stay for the checks that follow, and go at the end of the run."""
    bench.first(log)
    for host in log.cloud.nodes("compute"):
        bench.server(log, host)
