"""C10: a server on every compute node."""

from __future__ import annotations

from labctl.checks import bench, c07_image
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


@cloud_check(
    "C10:fresh",
    "A server is ACTIVE from an image that no compute node has yet",
    exercises="Glance from every compute node; all that C10 uses",
    needs=("C10", "C07:upload"),
    limit=(300, 1500),
)
def fresh(log: Log) -> None:
    """Upload an image and boot it on every compute node. A compute node keeps images that it has booted before: with
    the image *instance*, a broken way to Glance would not show. What the image holds boots nothing; a server is ACTIVE
    before that shows."""
    cloud = log.cloud
    bench.first(log)
    with cloud.made.scope(cloud):
        image = c07_image.make(log)
        for host in cloud.nodes("compute"):
            with cloud.made.scope(cloud):
                bench.boot(log, host, f"fresh-{host}", image_id=image.id)
