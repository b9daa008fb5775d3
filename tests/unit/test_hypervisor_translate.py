"""Every error of libvirt becomes one of ours."""

from __future__ import annotations

import libvirt
import pytest

from labctl.errors import AlreadyExistsError, CapacityError, HypervisorError, LabctlError, NotFoundError
from labctl.hypervisor.translate import error_for, translated


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (libvirt.VIR_ERR_NO_DOMAIN, "no domain", NotFoundError),
        (libvirt.VIR_ERR_STORAGE_VOL_EXIST, "exists", AlreadyExistsError),
        (libvirt.VIR_ERR_OPERATION_FAILED, "domain 'x' already exists with uuid y", AlreadyExistsError),
        (libvirt.VIR_ERR_INTERNAL_ERROR, "write: No space left on device", CapacityError),
        (libvirt.VIR_ERR_INTERNAL_ERROR, "something else", HypervisorError),
        (10_000, "of a libvirt to come", HypervisorError),
    ],
)
def test_what_can_be_acted_upon_is_told_apart(code: int, message: str, kind: type[LabctlError]) -> None:
    assert type(error_for("do it", code, message)) is kind


def test_the_cause_is_kept() -> None:
    with pytest.raises(LabctlError) as caught, translated("find it"):
        raise libvirt.libvirtError("gone")
    assert isinstance(caught.value.__cause__, libvirt.libvirtError)
