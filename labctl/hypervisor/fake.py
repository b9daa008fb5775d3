"""A hypervisor in memory, for tests: the interface of `Hypervisor`, as strict as libvirt where labctl looks.

    host = FakeHost()
    with FakeHypervisor(host) as hypervisor:
        hypervisor.create_network("<network>...</network>")

The same tests prove it and the real one (tests/hypervisor). A test may watch every call that would reach libvirt, and
end the program there: `trace` is told before and after each.
"""

from __future__ import annotations

from labctl.hypervisor.facts import HostFacts
from labctl.hypervisor.fake_domains import FakeDomains
from labctl.hypervisor.fake_networks import FakeNetworks
from labctl.hypervisor.fake_storage import FakeStorage


class FakeHypervisor(FakeNetworks, FakeStorage, FakeDomains):
    """A connection to a fake host; see `Hypervisor` for what each method does."""

    def host(self) -> HostFacts:
        """Read what the host is and has."""
        with self._does("read the host's facts"):
            host = self._host
            taken = sum(self._resident().values()) // 1024**2
            return HostFacts(
                hostname=host.hostname,
                memory=host.memory,
                available=host.memory - host.others - taken + host.merged,
                cpus=host.cpus,
                libvirt=host.libvirt,
                qemu=host.qemu,
            )

    def merged(self) -> int:
        """Return how many bytes same-page merging saves."""
        with self._does("read what same-page merging saves"):
            return self._host.merged * 1024**2

    def kvm_obstacle(self) -> str:
        """Say why guests cannot run under KVM; empty when they can."""
        with self._does("read what the hypervisor can do"):
            return "" if self._host.kvm else "its libvirt offers no KVM"

    def processor(self) -> str:
        """Return what the host's processor is."""
        with self._does("read what the hypervisor can do"):
            return "Fake Processor 00000000"
