"""One connection to libvirt and every call that labctl makes through it. Safe to use from many threads."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET

import libvirt

from labctl.hypervisor import capabilities
from labctl.hypervisor.domains import Domains
from labctl.hypervisor.facts import HostFacts, version
from labctl.hypervisor.networks import Networks
from labctl.hypervisor.storage import Storage
from labctl.hypervisor.translate import translated

_PAGE = 4096  # bytes; x86-64 has no other size that is merged


class Hypervisor(Networks, Storage, Domains):
    """A libvirt connection; see `Link`."""

    def host(self) -> HostFacts:
        """Read what the host is and has."""
        with translated("read the host's facts"):
            information = self._connection.getInfo()
            kib = self._memory_kib()
            return HostFacts(
                hostname=self._connection.getHostname(),
                memory=kib.get("total", information[1] * 1024) // 1024,
                available=sum(kib.get(part, 0) for part in ("free", "buffers", "cached")) // 1024,
                cpus=int(information[2]),
                libvirt=version(self._connection.getLibVersion()),
                qemu=version(self._connection.getVersion()),
            )

    def merged(self) -> int:
        """Return how many bytes of the host's memory are free because equal pages are kept once (KSM)."""
        with translated("read what same-page merging saves"):
            try:
                found = self._connection.getMemoryParameters()
            except libvirt.libvirtError as exc:
                if exc.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
                    return 0
                raise
            return int(found.get(libvirt.VIR_NODE_MEMORY_SHARED_PAGES_SHARING, 0)) * _PAGE

    def kvm_obstacle(self) -> str:
        """Say why guests cannot run under KVM, as the host itself reports; empty when they can."""
        with translated("read what the hypervisor can do"):
            document = self._connection.getCapabilities()
        return capabilities.kvm_obstacle(document, self._features(capabilities.host_cpu(document)))

    def _features(self, cpu: str | None) -> frozenset[str] | None:
        """Return the features of the host's processor, those of its model included; None where libvirt cannot say."""
        if cpu is None:
            return None
        try:
            every = self._connection.baselineCPU([cpu], libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES)
        except libvirt.libvirtError:
            return None
        return capabilities.features_of(every) | capabilities.features_of(cpu)

    def processor(self) -> str:
        """Return what the host's processor is, as far as guests under KVM can tell: vendor, model, features."""
        with translated("read what the hypervisor can do"):
            document = ET.fromstring(self._connection.getCapabilities())  # noqa: S314 - libvirt's own words
        cpu = document.find("host/cpu")
        if cpu is None:
            return ""
        features = sorted(feature.get("name", "") for feature in cpu.findall("feature"))
        digest = hashlib.sha256(" ".join(features).encode()).hexdigest()[:8]
        return f"{cpu.findtext('vendor', '')} {cpu.findtext('model', '')} {digest}"

    def _memory_kib(self) -> dict[str, int]:
        try:
            return dict(self._connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS, 0))
        except libvirt.libvirtError:  # the test driver has no such statistics
            return {"free": self._connection.getInfo()[1] * 1024}
