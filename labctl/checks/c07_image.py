"""C07: images."""

from __future__ import annotations

import hashlib
import io
import secrets
from typing import Any

from labctl.checks.log import Log, Wrong, cloud_check

_BYTES = 2 * 1024**2


@cloud_check(
    "C07:upload",
    "An image goes there and back",
    exercises="Glance, its store, disk",
    needs=("C03:glance",),
    limit=(60, 240),
)
def upload(log: Log) -> None:
    """Upload two mebibytes of random bytes as an image, see it active, read it back, compare, and remove it."""
    cloud, node = log.cloud, log.cloud.node("glance")
    if not node:
        log.skip("no node has the role glance")
    images, content = cloud.demo.image, secrets.token_bytes(_BYTES)
    with cloud.made.scope(cloud):
        image = make(log, content)
        with log.step("active", node=node, suspect="glance"):
            if (status := images.get_image(image.id).status) != "active":
                raise Wrong(f"the image is {status}")
        with log.step("download", node=node, suspect="glance: its store"):
            if images.download_image(image.id).content != content:
                raise Wrong("what comes back is not what was sent")


def make(log: Log, content: bytes = b"") -> Any:
    """Upload an image; random bytes where none are given."""
    cloud, data = log.cloud, io.BytesIO(content or secrets.token_bytes(_BYTES))
    with log.step("upload", node=cloud.node("glance"), suspect="glance"):
        return cloud.made.make(
            "image",
            "image",
            lambda name: cloud.demo.image.create_image(
                name, data=data, disk_format="raw", container_format="bare", validate_checksum=False
            ),
        )
    raise AssertionError


@cloud_check(
    "C07:stock",
    "The image for instances is whole",
    exercises="Glance, its store",
    needs=("C03:glance",),
    limit=(60, 240),
)
def stock(log: Log) -> None:
    """Read the image *instance*, which must be public and active, and compare its hash with the one on record."""
    cloud, node = log.cloud, log.cloud.node("glance")
    if not cloud.nodes("tenant"):
        log.skip("no node has the role tenant, which makes the image")
    images = cloud.demo.image
    with log.step("find", node=node, suspect="glance: the image instance"):
        found = log.again(lambda: list(images.images(name="instance")))
        if not found:
            raise Wrong("demo sees no image of the name instance")
        image = found[0]
        if image.status != "active":
            raise Wrong(f"the image is {image.status}")
    with log.step("download", node=node, suspect="glance: its store"):
        content = images.download_image(image.id).content
        if hashlib.new(image.hash_algo, content, usedforsecurity=False).hexdigest() != image.hash_value:
            raise Wrong(f"{len(content)} bytes came whose {image.hash_algo} is another")
