"""The volume service: LVM on the node's second disk, handed out by iSCSI."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Ini, Packages, PutFile, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Password, Reports, Step, role
from labctl.roles.shared import (
    as_user,
    authtoken,
    database,
    endpoint,
    ensure,
    merge,
    messaging,
    uwsgi,
    wait_for_reports,
)

DISK = "/dev/vdb"
GROUP = "cinder-volumes"

# Cinder's own LVM commands read this file (option lvm_conf_file); no other program does. lvcreate asks before it wipes
# the partition table that a deleted volume left, and Cinder answers nothing: the new volume would end in "error".
_LVM = """\
allocation { wipe_signatures_when_zeroing_new_lvs = 0 }
backup { backup = 0 archive = 0 }
"""


@role(
    "cinder",
    "Volume service",
    chapter=7,
    needs=("keystone", "rabbitmq", "glance"),
    disks=1,
    reports=Reports("cinder.services", "updated_at"),
    single=True,
    passwords=(Password("cinder"), Password("cinder-db")),
    loses="the content of volumes that were made since, whose records stay in the database",
    clean="""
        ids=$(openstack volume list --all-projects -f value -c ID)
        gone=$(for id in $ids; do lvs cinder-volumes/volume-$id >/dev/null 2>&1 || echo $id; done)
        [ -z "$gone" ] || openstack volume delete --force $gone""",
)
def cinder(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Cinder's API, scheduler and volume service."""
    yield Step(title="Cinder's database", node=cloud.node("mariadb"), actions=(database(cloud, "cinder"),))
    yield Step(
        title="Cinder's user and endpoints",
        node=cloud.node("keystone"),
        actions=(endpoint(cloud, "cinder", "block-storage", "OpenStack Block Storage", 8776, "/v3"),),
    )
    address = cloud.address(node)
    values = merge(
        messaging(cloud),
        authtoken(cloud, "cinder", node),
        {
            "DEFAULT": {
                "my_ip": address,
                "enabled_backends": "lvm",
                "default_volume_type": "lvm",
                "glance_api_servers": f"http://{cloud.internal('glance')}:9292",
                "osapi_volume_workers": 1,
                "report_interval": cloud.seconds(10, 60),
                "service_down_time": cloud.seconds(60, 600),
                "backend_stats_polling_interval": cloud.seconds(60, 900),
                "use_multipath_for_image_xfer": False,
            },
            "database": {"connection": cloud.database_url("cinder")},
            "service_user": cloud.credentials("cinder") | {"send_service_user_token": True},
            "oslo_concurrency": {"lock_path": "/var/lock/cinder"},
            "lvm": {
                "volume_driver": "cinder.volume.drivers.lvm.LVMVolumeDriver",
                "volume_group": GROUP,
                "volume_backend_name": "lvm",
                "target_protocol": "iscsi",
                "target_helper": "tgtadm",
                "target_ip_address": address,
                "iscsi_protocol": None,
                "iscsi_helper": None,
                "lvm_type": "default",
                "volume_clear": "none",
            },
        },
    )
    yield Step(
        title="Cinder's configuration and tables",
        node=node,
        actions=(
            Packages(
                names=("cinder-api", "cinder-scheduler", "cinder-volume", "lvm2", "tgt", "python3-pymysql", "curl")
            ),
            Ini(path="/etc/cinder/cinder.conf", values=values),
            PutFile(path="/etc/cinder/lvm.conf", content=_LVM),
            uwsgi("cinder-api", "cinder"),
            Run(command=as_user("cinder", "cinder-manage db sync"), seconds=300),
        ),
    )
    yield Step(
        title="Cinder's API answers",
        node=node,
        actions=(
            Unit(names=("cinder-api",)),
            Wait(until=f"curl -sf -o /dev/null http://{address}:8776/", what="Cinder answers", seconds=90),
        ),
    )
    yield Step(
        title=f"the volume group {GROUP} on {DISK}; Cinder's scheduler and volume service run",
        node=node,
        live=True,
        actions=(
            Run(command=f"pvcreate -q {DISK} && vgcreate -q {GROUP} {DISK}", unless=f"vgs {GROUP} >/dev/null 2>&1"),
            Unit(names=("tgt", "cinder-scheduler", "cinder-volume"), seconds=90),
        ),
    )
    yield Step(
        title="the volume type lvm",
        node=cloud.node("keystone"),
        actions=(
            ensure(
                cloud,
                volume_types=[{"name": "lvm", "extra_specs": {"volume_backend_name": "lvm"}}],
            ),
        ),
    )
    yield Step(
        title="Cinder's services report",
        node=cloud.node("mariadb"),
        live=True,
        actions=(wait_for_reports(cloud, node, "cinder-scheduler", "cinder-volume"),),
    )
