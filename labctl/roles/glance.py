"""The image service."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Ini, Packages, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles import ceph, login
from labctl.roles.role import Password, Step, role
from labctl.roles.shared import (
    Values,
    as_user,
    authtoken,
    database,
    endpoint,
    merge,
    messaging,
    notifications,
    uwsgi,
)


@role(
    "glance",
    "Image service",
    chapter=6,
    needs=("keystone",),
    after=("ceph-osd",),
    single=True,
    passwords=(Password("glance"), Password("glance-db")),
    loses="the files of images that were uploaded since, whose records stay in the database",
    clean="""
        ids=$(openstack image list -f value -c ID)
        gone=$(for id in $ids; do test -e /var/lib/glance/images/$id || echo $id; done)
        [ -z "$gone" ] || openstack image delete $gone""",
)
def glance(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Glance with images in a folder of its node, and in Ceph where the cloud has it."""
    yield Step(title="Glance's database", node=cloud.node("mariadb"), actions=(database(cloud, "glance"),))
    yield Step(
        title="Glance's user and endpoints",
        node=cloud.node("keystone"),
        actions=(endpoint(cloud, "glance", "image", "OpenStack Image", 9292),),
    )
    stored: Values = {}
    if cloud.nodes("ceph-mon"):
        stored = {
            # Cinder clones an image in Ceph when it is told where it is.
            "DEFAULT": {"enabled_backends": "local:file,rbd:rbd", "show_image_direct_url": True},
            "rbd": {
                "rbd_store_ceph_conf": "/etc/ceph/ceph.conf",
                "rbd_store_pool": ceph.IMAGES,
                "rbd_store_user": ceph.GLANCE,
            },
        }
    yield Step(
        title="Glance's configuration and tables",
        node=node,
        actions=(
            Packages(names=("glance-api", "python3-pymysql", "python3-openstackclient", "curl")),
            Ini(
                path="/etc/glance/glance-api.conf",
                values=merge(
                    authtoken(cloud, "glance", node),
                    {
                        # Without a parent process: its green wait for the worker wakes up a hundred times a second.
                        "DEFAULT": {"enabled_backends": "local:file", "workers": 0},
                        "glance_store": {"default_backend": "local"},
                        "local": {"filesystem_store_datadir": "/var/lib/glance/images"},
                        "database": {"connection": cloud.database_url("glance")},
                        "paste_deploy": {"flavor": "keystone"},
                    },
                    _told(cloud),
                    stored,
                ),
            ),
            *(ceph.client(cloud, ceph.GLANCE, "glance:glance") if stored else ()),
            uwsgi("glance-api", "glance"),
            Run(command=as_user("glance", "glance-manage db_sync"), seconds=300),
        ),
    )
    yield Step(
        title="Glance answers",
        node=node,
        actions=(
            Unit(names=("glance-api",)),
            Wait(until=f"curl -sf -o /dev/null http://{cloud.address(node)}:9292/", what="Glance answers", seconds=90),
            *login.files(cloud, node),
        ),
    )


def _told(cloud: Cloud) -> Values:
    """Return the settings with which Glance tells what it does; it needs the message queue for nothing else."""
    return merge(messaging(cloud), told) if (told := notifications(cloud)) else {}
