"""The command-line client on every node, with the files to log in with."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Packages
from labctl.cloud.cloud import Cloud
from labctl.roles import login
from labctl.roles.role import Step, role


@role(
    "client",
    "Command-line client",
    needs=("keystone",),
    after=("glance", "nova", "neutron", "cinder", "heat"),
    networks=(),
    everywhere=True,
)
def client(cloud: Cloud, node: str) -> Iterator[Step]:
    """Let people work from whichever node they are on."""
    yield Step(
        title="the openstack command and the files to log in with",
        node=node,
        actions=(Packages(names=("python3-openstackclient",)), *login.files(cloud, node)),
    )
