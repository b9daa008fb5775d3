"""The gateway of objects: Swift's and Amazon's protocols to what Ceph keeps."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Packages, PutFile, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles import ceph
from labctl.roles.role import Password, Step, role
from labctl.roles.shared import endpoint
from labctl.spec.document import Problem
from labctl.spec.topology import Topology


def _fits(topology: Topology) -> Iterator[Problem]:
    proxies = [name for name, node in topology.nodes.items() if "swift" in node.roles]
    for name, node in topology.nodes.items():
        if "ceph-rgw" in node.roles and proxies:
            text = f"a cloud has one object store, and {proxies[0]} has the role swift; leave one of them out"
            yield Problem(("nodes", name, "roles", node.roles.index("ceph-rgw")), text)


@role(
    "ceph-rgw",
    "Object store, gateway to distributed storage",
    needs=("keystone", "ceph-osd"),
    single=True,
    # Ceph cuts blanks off what it reads from the file.
    passwords=(Password("ceph-rgw", fits=r"\S(.*\S)?", rule="it may not begin or end with a blank"),),
    fits=_fits,
    layer="ceph",
)
def gateway(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up RGW with Keystone's users, and S3 with their EC2 credentials; all that it keeps is in Ceph."""
    port, user = ceph.GATEWAY, ceph.gateway(node)
    title = "OpenStack Object Storage"
    yield Step(
        title="the gateway's user and endpoints",
        node=cloud.node("keystone"),
        actions=(endpoint(cloud, "ceph-rgw", "object-store", title, port, "/swift/v1/AUTH_%(project_id)s"),),
    )
    yield Step(
        title="the gateway's configuration",
        node=node,
        actions=(
            Packages(names=("radosgw", "python3-swiftclient", "curl")),
            *ceph.client(cloud, user, "ceph:ceph"),
            PutFile(path=ceph.GATEWAY_PASSWORD, content=cloud.secret("ceph-rgw") + "\n", owner="ceph:ceph", mode=0o600),
        ),
    )
    yield Step(
        title="the gateway answers",
        node=node,
        live=True,
        actions=(
            # The first one makes the gateway's pools.
            Unit(names=(f"ceph-radosgw@{user}", "ceph-radosgw.target"), seconds=120),
            Wait(
                until=f"curl -sf -o /dev/null http://{cloud.address(node)}:{port}/swift/healthcheck",
                what="the gateway answers",
                seconds=180,
            ),
        ),
    )
