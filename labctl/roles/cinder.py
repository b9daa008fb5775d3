"""The volume service: its API and scheduler, and LVM on a node's first data disk, handed out by iSCSI."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Action, Ini, Packages, PutFile, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles import ceph
from labctl.roles.role import Password, Reports, Step, role
from labctl.roles.shared import (
    Values,
    as_user,
    authtoken,
    database,
    endpoint,
    ensure,
    merge,
    messaging,
    notifications,
    uwsgi,
    wait_for_reports,
)
from labctl.spec.document import Problem
from labctl.spec.topology import Topology

DISK = "/dev/vdb"
GROUP = "cinder-volumes"

# Cinder's own LVM commands read this file (option lvm_conf_file); no other program does. lvcreate asks before it wipes
# the partition table that a deleted volume left, and Cinder answers nothing: the new volume would end in "error".
_LVM = """\
allocation { wipe_signatures_when_zeroing_new_lvs = 0 }
backup { backup = 0 archive = 0 }
"""


def _fits(topology: Topology) -> Iterator[Problem]:
    for name, node in topology.nodes.items():
        keeps = "cinder-volume" in topology.duties[name] and "cinder-volume" not in node.roles
        if keeps and not node.disks:
            text = f"the role cinder uses a data disk, and {name} has none; for instance disks: [size: 20 GiB]"
            yield Problem(("nodes", name, "roles", node.roles.index("cinder")), text)


@role(
    "cinder",
    "Volume service",
    chapter=7,
    needs=("keystone", "rabbitmq", "glance"),
    after=("ceph-osd",),
    reports=Reports("cinder.services", "updated_at"),
    single=True,
    passwords=(Password("cinder"), Password("cinder-db")),
    fits=_fits,
)
def cinder(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Cinder's API and scheduler, and the volume service where no node has the role cinder-volume."""
    yield Step(title="Cinder's database", node=cloud.node("mariadb"), actions=(database(cloud, "cinder"),))
    yield Step(
        title="Cinder's user and endpoints",
        node=cloud.node("keystone"),
        actions=(endpoint(cloud, "cinder", "block-storage", "OpenStack Block Storage", 8776, "/v3"),),
    )
    whole = not cloud.nodes("cinder-volume")
    yield Step(
        title="Cinder's configuration and tables",
        node=node,
        actions=(
            *_settings(cloud, node, "cinder-api", "cinder-scheduler", volumes=whole),
            uwsgi("cinder-api", "cinder"),
            Run(command=as_user("cinder", "cinder-manage db sync"), seconds=300),
        ),
    )
    yield Step(
        title="Cinder's API answers",
        node=node,
        actions=(
            Unit(names=("cinder-api",)),
            Wait(until=f"curl -sf -o /dev/null http://{cloud.address(node)}:8776/", what="Cinder answers", seconds=90),
        ),
    )
    if whole:
        yield _group("Cinder's scheduler and volume service run", node, "tgt", "cinder-scheduler", "cinder-volume")
    else:
        runs = Unit(names=("cinder-scheduler",), seconds=90)
        yield Step(title="Cinder's scheduler runs", node=node, live=True, actions=(runs,))
    yield Step(
        title="the volume type lvm",
        node=cloud.node("keystone"),
        actions=(
            ensure(
                cloud,
                volume_types=[
                    {"name": name, "extra_specs": {"volume_backend_name": name}}
                    for name in ("lvm", *(["ceph"] if cloud.nodes("ceph-mon") else []))
                ],
            ),
        ),
    )
    yield Step(
        title="Cinder's services report",
        node=cloud.node("mariadb"),
        live=True,
        actions=(wait_for_reports(cloud, node, "cinder-scheduler", *(("cinder-volume",) if whole else ())),),
    )


@role(
    "cinder-volume",
    "Volume service, back end",
    chapter=7,
    needs=("cinder",),
    disks=1,
    loses="the content of volumes that were made since, whose records stay in the database",
    clean="""
        ids=$(openstack volume list --all-projects -f value -c ID)
        gone=$(for id in $ids; do lvs cinder-volumes/volume-$id >/dev/null 2>&1 || echo $id; done)
        [ -z "$gone" ] || openstack volume delete --force $gone""",
)
def volume(cloud: Cloud, node: str) -> Iterator[Step]:
    """Keep volumes on the node's first data disk; without this role anywhere, the node with the role cinder does."""
    yield Step(title="the volume service's configuration", node=node, actions=_settings(cloud, node, volumes=True))
    yield _group("Cinder's volume service runs", node, "tgt", "cinder-volume")
    yield Step(
        title="Cinder's volume service reports",
        node=cloud.node("mariadb"),
        live=True,
        actions=(wait_for_reports(cloud, node, "cinder-volume"),),
    )


def _settings(cloud: Cloud, node: str, *packages: str, volumes: bool) -> tuple[Action, ...]:
    """Return packages and files of a node of Cinder's.

    Args:
        volumes: whether it keeps volumes.
    """
    address, stored = cloud.address(node), cloud.nodes("ceph-mon")
    values: Values = {
        "DEFAULT": {
            "my_ip": address,
            "enabled_backends": "lvm,ceph" if stored else "lvm",
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
    }
    if stored and volumes:
        values["ceph"] = {
            "volume_driver": "cinder.volume.drivers.rbd.RBDDriver",
            "volume_backend_name": "ceph",
            "rbd_pool": ceph.VOLUMES,
            "rbd_user": ceph.CINDER,
            "rbd_ceph_conf": "/etc/ceph/ceph.conf",
            "rbd_secret_uuid": ceph.secret_id(cloud, ceph.CINDER),
            "rados_connect_timeout": cloud.seconds(10, 60),
        }
    if not volumes:
        del values["lvm"], values["DEFAULT"]["enabled_backends"]
    programs = ("cinder-volume", "lvm2", "tgt") if volumes else ()
    common = merge(messaging(cloud), authtoken(cloud, "cinder", node), values, notifications(cloud))
    return (
        Packages(names=(*packages, *programs, "python3-pymysql", "curl")),
        Ini(path="/etc/cinder/cinder.conf", values=common),
        *([PutFile(path="/etc/cinder/lvm.conf", content=_LVM)] if volumes else ()),
        *(ceph.client(cloud, ceph.CINDER, "cinder:cinder") if stored and volumes else ()),
    )


def _group(title: str, node: str, *units: str) -> Step:
    """Return the step that makes the volume group, once, and starts what needs it."""
    make = Run(command=f"pvcreate -q {DISK} && vgcreate -q {GROUP} {DISK}", unless=f"vgs {GROUP} >/dev/null 2>&1")
    return Step(
        title=f"the volume group {GROUP} on {DISK}; {title}",
        node=node,
        live=True,
        actions=(make, Unit(names=units, seconds=90)),
    )
