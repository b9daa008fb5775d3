"""Judges what libvirt says about a host: whether guests can run under KVM there, whatever way leads to it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Collection


def kvm_obstacle(capabilities: str, features: Collection[str] | None) -> str:
    """Say why guests cannot run under KVM; empty when they can.

    A host that has /dev/kvm offers KVM guests. Without vmx or svm such a device runs firmware and hangs 64-bit kernels.

    Args:
        capabilities: libvirt's capabilities document.
        features: what the host's processor has; None where libvirt cannot say, which proves nothing against KVM.
    """
    root = ET.fromstring(capabilities)  # noqa: S314 - libvirt's own words
    offered = root.find("guest/arch[@name='x86_64']/domain[@type='kvm']") is not None
    if features is not None and {"vmx", "svm"}.isdisjoint(features):
        trap = ", so the /dev/kvm there would hang 64-bit kernels" if offered else ""
        return f"its processor has neither vmx nor svm{trap}"
    return "" if offered else "its libvirt offers no KVM: /dev/kvm is missing there, or QEMU may not open it"


def host_cpu(capabilities: str) -> str | None:
    """Return the element that describes the host's processor, as a document; None where libvirt does not know it."""
    cpu = ET.fromstring(capabilities).find("host/cpu")  # noqa: S314 - libvirt's own words
    return None if cpu is None or cpu.find("model") is None else ET.tostring(cpu, encoding="unicode")


def features_of(cpu: str) -> frozenset[str]:
    """Return the features that a `<cpu>` document names and does not take away."""
    root = ET.fromstring(cpu)  # noqa: S314 - libvirt's own words
    return frozenset(
        feature.get("name", "")
        for feature in root.findall("feature")
        if feature.get("policy") not in ("disable", "forbid")
    )
