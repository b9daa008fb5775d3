"""Whether guests can run under KVM is what the host's libvirt reports, whatever way leads there."""

from __future__ import annotations

import pytest

from labctl.hypervisor import capabilities

OFFERED = (
    "<capabilities><guest><arch name='x86_64'><domain type='qemu'/><domain type='kvm'/></arch></guest></capabilities>"
)
CPU = "<caps><host><cpu><arch>x86_64</arch>{}<vendor>AMD</vendor></cpu></host></caps>"


@pytest.mark.parametrize(
    ("document", "features", "because"),
    [
        (OFFERED, {"sse2", "vmx"}, ""),
        (OFFERED, {"svm"}, ""),
        (OFFERED, None, ""),
        (OFFERED, {"sse2"}, "neither vmx nor svm, so the /dev/kvm there would hang"),
        (OFFERED.replace("<domain type='kvm'/>", ""), {"sse2"}, "neither vmx nor svm"),
        (OFFERED.replace("<domain type='kvm'/>", ""), {"vmx"}, "offers no KVM"),
        (OFFERED.replace("x86_64", "aarch64"), {"vmx"}, "offers no KVM"),
    ],
)
def test_kvm_needs_an_offer_and_a_processor_that_can(document: str, features: set[str] | None, because: str) -> None:
    obstacle = capabilities.kvm_obstacle(document, features)
    assert because in obstacle
    assert bool(obstacle) == bool(because)


def test_a_processor_without_a_model_is_unknown() -> None:
    assert capabilities.host_cpu(CPU.format("")) is None
    assert "<model>EPYC</model>" in (capabilities.host_cpu(CPU.format("<model>EPYC</model>")) or "")


def test_features_that_the_processor_lacks_do_not_count() -> None:
    cpu = "<cpu><model>EPYC</model><feature name='sse2'/><feature policy='disable' name='svm'/></cpu>"
    assert capabilities.features_of(cpu) == {"sse2"}
