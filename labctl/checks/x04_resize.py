"""X4: resizing."""

from __future__ import annotations

from labctl.checks import bench
from labctl.checks.log import Log, cloud_check


@cloud_check(
    "X4",
    "A server is resized",
    exercises="Nova's conductor and scheduler; the way of a disk from one compute node to another",
    needs=("C10",),
    named=True,
    limit=(300, 1800),
)
def resize(log: Log) -> None:
    """Resize the first server from m1.tiny to m1.small and confirm it. With several compute nodes its disk goes from
    one to another, by SSH of Nova's user. It takes long and needs room for two servers, so it only runs if it is
    named."""
    cloud = log.cloud
    nova, made = cloud.demo.compute, bench.first(log)
    with log.step("resize", node=cloud.node("nova"), suspect="nova"):
        flavor = log.again(lambda: nova.find_flavor("m1.small", ignore_missing=False))
        nova.resize_server(made, flavor.id)
    with log.step("VERIFY_RESIZE", node=cloud.node("compute"), suspect="nova-compute: the way of the disk"):
        log.status(lambda: nova.get_server(made.id), "VERIFY_RESIZE", bench.ACTIVE)
    with log.step("confirm", node=cloud.node("nova"), suspect="nova"):
        nova.confirm_server_resize(made)
        log.status(lambda: nova.get_server(made.id), "ACTIVE", bench.ACTIVE)
