"""C24: objects."""

from __future__ import annotations

import secrets

from labctl.checks.log import Log, Wrong, cloud_check

_BYTES = 1024**2


@cloud_check(
    "C24",
    "An object goes there and back",
    exercises="Swift's proxy and its check of tokens, storage servers, their disks; or Ceph's gateway and its pools",
    needs=("C02:swift", "C02:ceph-rgw"),
    limit=(60, 240),
)
def objects(log: Log) -> None:
    """Make a container, put a mebibyte of random bytes into it, see it in the list, read it back, compare, and remove
    both."""
    cloud = log.cloud
    stored = cloud.nodes("ceph-rgw")
    door, keeper = ("ceph-rgw", "ceph-rgw") if stored else ("swift", "swift-storage")
    node = cloud.node(door)
    if not node:
        log.skip("no node has the role swift, or the role ceph-rgw")
    store, content = cloud.demo.object_store, secrets.token_bytes(_BYTES)
    with cloud.made.scope(cloud):
        with log.step("container", node=node, suspect=f"{door}: its check of tokens"):
            container = cloud.made.make("container", "objects", lambda name: store.create_container(name)).id
        with log.step("put", node=node, suspect=keeper):
            store.upload_object(container, "thing", data=content)
        with log.step("list", node=node, suspect=f"{keeper}: its containers"):
            names = log.again(lambda: [each.name for each in store.objects(container)])
            if names != ["thing"]:
                raise Wrong(f"the container has {', '.join(names) or 'nothing'}")
        with log.step("get", node=node, suspect=f"{keeper}: its objects"):
            if log.again(lambda: store.download_object("thing", container=container)) != content:
                raise Wrong("what comes back is not what was sent")
