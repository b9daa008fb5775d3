"""Copies of volumes, in a folder of the volume service's node."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Ini, Packages, Unit
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Step, role
from labctl.roles.shared import wait_for_reports
from labctl.spec.document import Problem
from labctl.spec.topology import Topology

FOLDER = "/var/lib/cinder/backups"


def _fits(topology: Topology) -> Iterator[Problem]:
    apart = any("cinder-volume" in node.roles for node in topology.nodes.values())
    where = "cinder-volume" if apart else "cinder"
    for name, node in topology.nodes.items():
        if "cinder-backup" in node.roles and "cinder-volume" not in topology.duties[name]:
            text = f"the role cinder-backup reads volumes where they are: give it to the node with the role {where}"
            yield Problem(("nodes", name, "roles", node.roles.index("cinder-backup")), text)


@role(
    "cinder-backup",
    "Volume backups",
    needs=("cinder",),
    after=("cinder-volume",),
    single=True,
    fits=_fits,
    loses="the backups that were made since, whose records stay in the database",
    layer="backup",
)
def backup(cloud: Cloud, node: str) -> Iterator[Step]:
    """Keep full and incremental copies of volumes as files."""
    yield Step(
        title="Cinder's backup service runs",
        node=node,
        live=True,
        actions=(
            Packages(names=("cinder-backup",)),
            Ini(
                path="/etc/cinder/cinder.conf",
                values={
                    "DEFAULT": {
                        "backup_driver": "cinder.backup.drivers.posix.PosixBackupDriver",
                        "backup_posix_path": FOLDER,
                        "backup_workers": 1,
                    }
                },
            ),
            Unit(names=("cinder-backup",), seconds=90),
        ),
    )
    yield Step(
        title="Cinder's backup service reports",
        node=cloud.node("mariadb"),
        live=True,
        actions=(wait_for_reports(cloud, node, "cinder-backup"),),
    )
