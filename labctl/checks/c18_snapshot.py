"""C18: snapshots of volumes."""

from __future__ import annotations

from labctl.checks import c08_volume
from labctl.checks.log import Log, cloud_check


@cloud_check(
    "C18",
    "A volume's snapshot becomes a volume",
    exercises="Cinder's snapshots, LVM",
    needs=("C08:blank",),
    limit=(180, 600),
)
def snapshot(log: Log) -> None:
    """Make a volume, a snapshot of it, and a volume from that; remove all three."""
    cloud, node = log.cloud, log.cloud.node("cinder-volume")
    if not node:
        log.skip("no node has the role cinder")
    volumes = cloud.demo.block_storage
    with cloud.made.scope(cloud):
        volume = c08_volume.make(log, "original")
        with log.step("snapshot", node=node, suspect="cinder-volume"):
            shot = cloud.made.make(
                "snapshot", "snapshot", lambda name: volumes.create_snapshot(volume_id=volume.id, name=name)
            )
            log.status(lambda: volumes.get_snapshot(shot.id), "available", c08_volume.SECONDS)
        c08_volume.make(log, "copy", snapshot_id=shot.id)
