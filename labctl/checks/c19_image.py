"""C19: snapshots of servers."""

from __future__ import annotations

from labctl.checks import bench
from labctl.checks.log import Log, Wrong, cloud_check

_SECONDS = (240.0, 1200.0)


@cloud_check(
    "C19",
    "A server's snapshot becomes an image",
    exercises="libvirt, Nova's way to Glance",
    needs=("C10", "C07:upload"),
    limit=(300, 1200),
)
def snapshot(log: Log) -> None:
    """Make an image of the first server, see it active and larger than nothing, and remove it."""
    cloud, made = log.cloud, bench.first(log)
    host = cloud.nodes("compute")[0]
    with cloud.made.scope(cloud):
        with log.step("create", node=cloud.node("nova"), suspect="nova"):
            image = cloud.made.make(
                "image", "snapshot", lambda name: cloud.demo.compute.create_server_image(made, name)
            )
        with log.step("active", node=host, suspect="nova-compute: its way to glance"):
            images = cloud.demo.image
            found = log.status(lambda: images.get_image(image.id), "active", _SECONDS, failures=("killed", "deleted"))
            if not found.size:
                raise Wrong("the image is empty")
