"""A libvirtd that takes connections and says nothing keeps nobody waiting for ever."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from labctl.errors import HypervisorError
from labctl.hypervisor import Hypervisor, link


def test_a_libvirtd_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "_CONNECT", {False: 0.3})
    path = tmp_path / "libvirt-sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        began = time.monotonic()
        with pytest.raises(HypervisorError, match="does not answer within") as caught:
            Hypervisor(f"qemu+unix:///system?socket={path}")
    assert time.monotonic() - began < 5
    assert "labctl host status" in caught.value.remedy


def test_nobody_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(HypervisorError, match="cannot connect"):
        Hypervisor(f"qemu+unix:///system?socket={tmp_path}/nothing")
