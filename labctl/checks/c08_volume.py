"""C08: volumes."""

from __future__ import annotations

from typing import Any

from labctl.checks.log import Log, cloud_check

SECONDS = (90.0, 600.0)


@cloud_check(
    "C08:blank",
    "A volume is made and removed",
    exercises="Cinder, queue, LVM",
    needs=("C03:cinder",),
    limit=(120, 420),
)
def blank(log: Log) -> None:
    """Make an empty volume of one gibibyte, see it available, remove it, and see it gone."""
    if not log.cloud.nodes("cinder"):
        log.skip("no node has the role cinder")
    _there_and_gone(log)


@cloud_check(
    "C08:image",
    "A volume is made from an image",
    exercises="Cinder, queue, LVM; Glance from Cinder's node",
    needs=("C08:blank", "C03:glance"),
    limit=(120, 420),
)
def from_image(log: Log) -> None:
    """Make a volume from the image *instance*, see it available, remove it, and see it gone."""
    if not log.cloud.nodes("cinder") or not log.cloud.nodes("tenant"):
        log.skip("no node has the role cinder, or none the role tenant, which makes the image")
    _there_and_gone(log, image_id=log.ask("find the image", lambda: image_id(log)))


def make(log: Log, what: str, **source: Any) -> Any:
    """Make a volume and wait for it."""
    volumes = log.cloud.demo.block_storage
    with log.step("create", node=log.cloud.node("cinder"), suspect="cinder"):
        volume = log.cloud.made.make("volume", what, lambda name: volumes.create_volume(name=name, size=1, **source))
    with log.step("available", node=log.cloud.node("cinder-volume"), suspect="cinder-volume"):
        log.status(lambda: volumes.get_volume(volume.id), "available", SECONDS)
    return volume


def image_id(log: Log) -> str:
    """Return the ID of the image for instances."""
    return str(log.cloud.demo.image.find_image("instance", ignore_missing=False).id)


def _there_and_gone(log: Log, **source: Any) -> None:
    cloud, node = log.cloud, log.cloud.node("cinder-volume")
    volumes = cloud.demo.block_storage
    with cloud.made.scope(cloud):
        volume = make(log, "volume", **source)
        with log.step("delete", node=node, suspect="cinder-volume"):
            volumes.delete_volume(volume.id)
            log.gone(lambda: volumes.get_volume(volume.id), SECONDS)
