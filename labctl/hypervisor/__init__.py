"""The only user of libvirt: bytes and strings in, frozen facts out."""

from labctl.hypervisor.connection import Hypervisor
from labctl.hypervisor.facts import (
    DomainFacts,
    HostFacts,
    NetworkFacts,
    NetworkOwner,
    Owner,
    PoolFacts,
    State,
    VolumeFacts,
)
from labctl.hypervisor.listing import Listing

__all__ = [
    "DomainFacts",
    "HostFacts",
    "Hypervisor",
    "Listing",
    "NetworkFacts",
    "NetworkOwner",
    "Owner",
    "PoolFacts",
    "State",
    "VolumeFacts",
]
