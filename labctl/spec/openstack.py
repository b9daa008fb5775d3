"""The section "openstack" of a topology file: what the cloud of a lab is like."""

from __future__ import annotations

from typing import Any, Literal

from netaddr import IPAddress, IPNetwork, IPRange
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from labctl.spec.part import Part
from labctl.spec.values import (
    AddressPart,
    ImageName,
    NetworkName,
    NodeName,
    Password,
    RegionName,
    SecretName,
    Subnet,
)


def gateway(public: IPNetwork) -> IPAddress:
    """Return the public network's gateway in the cloud: its last address."""
    return IPAddress(public.last - 1)


class OpenStack(Part):
    """The cloud that `labctl install` brings up; which node does what, the nodes' `roles` say."""

    image: ImageName = "openstack"
    """The image of the nodes of a lab at stage installed: all packages are in it."""

    medium: ImageName | None = "openstack-medium"
    """The image that every node finds at /media/labctl: packages to install without the internet, and a small image
    for instances. null leaves it out."""

    region: RegionName = "RegionOne"
    """The region of all endpoints."""

    internal: NetworkName
    """The network between the services: internal endpoints are its addresses."""

    public: NetworkName
    """The network of the public endpoints and of floating addresses."""

    private: NetworkName | None = None
    """A network without a subnet between gateway and compute nodes for the tenants' networks, which are VLANs there.
    Without one they are tunnels through `internal`."""

    tunnel: Literal["vxlan", "gre", "vlan"] | None = None
    """What carries the tenants' networks: vlan on `private`, vxlan or gre through `internal`. Without it, vlan where
    there is a network `private`, else vxlan."""

    firewall: Literal["openvswitch", "iptables_hybrid"] = "openvswitch"
    """Where security groups are enforced: by Open vSwitch's flows, or by iptables on a Linux bridge between each
    instance and Open vSwitch (tap, qbr, qvb, qvo), as older clouds do."""

    floating: AddressPart
    """The part of the public network's subnet that floating addresses are taken from: a subnet, whose ends are left
    out, or a range like "192.168.182.200-192.168.182.220"."""

    tenant: Subnet
    """The subnet of the first tenant network, net1."""

    images: Literal["file", "swift"] = "file"
    """Where Glance keeps images: in a folder of its node, or as objects in Swift."""

    disks: Literal["file", "ceph"] = "file"
    """Where Nova keeps the disks of instances: in a folder of the compute node that runs them, or in Ceph, where every
    compute node reaches them."""

    nested: Literal["auto", "qemu", "kvm"] = "auto"
    """How instances run inside the compute nodes: kvm, or qemu, which is slow and always works. auto takes kvm where
    the node's processor offers it."""

    clock: NodeName | None = None
    """The node whose clock the others follow. Without it, the first one with an address on `internal`."""

    passwords: dict[SecretName, Password] = Field(default_factory=dict)
    """Passwords to use instead of generated ones, for instance {admin: secret}; "*" stands for all the others.
    Everybody who can read this file knows them."""

    @property
    def carrier(self) -> Literal["vxlan", "gre", "vlan"]:
        """What carries the tenants' networks."""
        return self.tunnel or ("vlan" if self.private else "vxlan")

    def pool(self, public: IPNetwork) -> tuple[IPAddress, IPAddress]:
        """Return the first and the last floating address.

        Args:
            public: the public network's subnet.
        """
        if isinstance(self.floating, IPRange):
            return IPAddress(self.floating.first), IPAddress(self.floating.last)
        last = min(self.floating.last, int(gateway(public)))
        return IPAddress(self.floating.first + 1), IPAddress(last - 1)

    @model_serializer(mode="wrap")
    def _brief(self, complete: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out keys that came later and say nothing: what is on record from before keeps its digest."""
        fields = type(self).model_fields
        silent = {
            name
            for name in ("tunnel", "firewall", "images", "disks", "clock")
            if getattr(self, name) == fields[name].default
        }
        return {name: value for name, value in complete(self).items() if name not in silent}
