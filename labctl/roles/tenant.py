"""What the chapters of the tutorial make at their ends: flavors, an image, networks, rules, a key pair."""

from __future__ import annotations

from collections.abc import Iterator

from netaddr import IPAddress

from labctl.changes import PutFile
from labctl.roles.cloud import Cloud
from labctl.roles.role import Step, role

IMAGE = "/media/labctl/instance.qcow2"
"""The image for instances on the install medium."""


@role("tenant", "The tenant's first resources", needs=("keystone", "glance", "nova", "neutron", "cinder"))
def tenant(cloud: Cloud, node: str) -> Iterator[Step]:
    """Make what a user needs to boot an instance, as its user finds it after the tutorial's chapters."""
    public = cloud.lab.network(cloud.spec.public).subnet
    assert public is not None
    # The network's last address is its gateway's, and may be within the part for floating addresses.
    gateway = public.last - 1
    first, last = cloud.spec.floating.first + 1, min(cloud.spec.floating.last, gateway) - 1
    yield Step(
        title="flavors and the image for instances",
        node=cloud.node("glance"),
        actions=(
            cloud.ensure(
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
            cloud.ensure(
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
                            "gateway_ip": str(IPAddress(gateway)),
                            "allocation_pools": [{"start": str(IPAddress(first)), "end": str(IPAddress(last))}],
                        },
                    },
                    {
                        "name": "net1",
                        "project": "demo",
                        "subnet": {"name": "subnet1", "cidr": str(cloud.spec.tenant), "is_dhcp_enabled": True},
                    },
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
