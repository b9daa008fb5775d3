"""What the chapters of the tutorial make at their ends: flavors, an image, networks, rules, a key pair."""

from __future__ import annotations

from collections.abc import Iterator

from netaddr import IPRange

from labctl.changes import PutFile
from labctl.cloud.cloud import Cloud
from labctl.roles.designate import zone
from labctl.roles.role import Step, role
from labctl.roles.shared import ensure
from labctl.spec.document import Problem
from labctl.spec.openstack import gateway
from labctl.spec.topology import Topology

IMAGE = "/media/labctl/instance.qcow2"
"""The image for instances on the install medium."""


def _fits(topology: Topology) -> Iterator[Problem]:
    """See that there is an image for instances, and room for their networks."""
    cloud = topology.openstack
    public = topology.networks[cloud.public].subnet if cloud and cloud.public in topology.networks else None
    if cloud is None or public is None:
        return
    if cloud.medium is None:
        yield Problem(("openstack", "medium"), "the role tenant takes the image for instances from the install medium")
    if cloud.tenant.prefixlen > 29:
        yield Problem(("openstack", "tenant"), f"{cloud.tenant} has no room for an instance; take a /29 or larger")
    if cloud.tenant.first <= public.last and public.first <= cloud.tenant.last:
        text = f"{cloud.tenant} overlaps {cloud.public}'s subnet {public}: no router can be between them"
        yield Problem(("openstack", "tenant"), text)
    for name, node in topology.nodes.items():
        for position, nic in enumerate(node.nics):
            if nic.network == cloud.public and nic.address == gateway(public):
                text = f"{nic.address}, the last of {cloud.public}, is its gateway's in the cloud; choose another"
                yield Problem(("nodes", name, "nics", position, "address"), text)
    if isinstance(cloud.floating, IPRange) and gateway(public) in cloud.floating:
        text = f"{gateway(public)}, the last of {cloud.public}, is its gateway's in the cloud; end the range before it"
        yield Problem(("openstack", "floating"), text)


@role(
    "tenant",
    "The tenant's first resources",
    needs=("keystone", "glance", "nova", "neutron"),
    after=("cinder", "designate"),
    fits=_fits,
)
def tenant(cloud: Cloud, node: str) -> Iterator[Step]:
    """Make what a user needs to boot an instance, as its user finds it after the tutorial's chapters."""
    public = cloud.lab.network(cloud.spec.public).subnet
    assert public is not None
    first, last = cloud.spec.pool(public)
    yield Step(
        title="flavors and the image for instances",
        node=cloud.node("glance"),
        live=cloud.spec.images == "swift",  # whose disks are there when the nodes boot
        actions=(
            ensure(
                cloud,
                flavors=[
                    {"name": "m1.tiny", "ram": 128, "vcpus": 1, "disk": 1},
                    {"name": "m1.small", "ram": 512, "vcpus": 1, "disk": 2},
                ],
                images=[
                    {
                        "name": "instance",
                        "filename": IMAGE,
                        "disk_format": "qcow2",
                        "container_format": "bare",
                        "visibility": "public",
                        # Making its SSH host key would wait for random numbers otherwise.
                        "hw_rng_model": "virtio",
                    }
                ],
            ),
        ),
    )
    yield Step(
        title="networks, router, security rules and key pair",
        node=node,
        actions=(
            PutFile(path="/root/lab-key", content=cloud.secret("key"), mode=0o600),
            ensure(
                cloud,
                networks=[
                    {
                        "name": "public",
                        "is_router_external": True,
                        "provider_network_type": "flat",
                        "provider_physical_network": "external",
                        "subnet": {
                            "name": "public",
                            "cidr": str(public),
                            "is_dhcp_enabled": False,
                            "gateway_ip": str(gateway(public)),
                            "allocation_pools": [{"start": str(first), "end": str(last)}],
                        },
                    },
                    {
                        "name": "net1",
                        "project": "demo",
                        "subnet": {"name": "subnet1", "cidr": str(cloud.spec.tenant), "is_dhcp_enabled": True},
                    }
                    | ({"dns_domain": zone(cloud)} if cloud.nodes("designate") else {}),
                ],
                routers=[{"name": "router1", "project": "demo", "external": "public", "subnets": ["subnet1"]}],
                rules=[
                    {"project": "demo", "group": "default", "protocol": "icmp"},
                    {
                        "project": "demo",
                        "group": "default",
                        "protocol": "tcp",
                        "port_range_min": 22,
                        "port_range_max": 22,
                    },
                ],
                keypairs=[
                    {
                        "name": "lab",
                        "type": "ssh",
                        "public_key": cloud.secret("key-public"),
                        "user": {
                            "username": "demo",
                            "password": cloud.secret("demo"),
                            "project_name": "demo",
                        },
                    }
                ],
            ),
        ),
    )
