"""What is run to get into a lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.lab import reach
from labctl.plan.model import LabPlan
from labctl.remote import dial
from labctl.state import LabFolder


@pytest.mark.parametrize("uri", ["qemu:///system", "qemu+ssh://root@kvm1/system"])
def test_the_users_ssh_configuration_counts_for_no_node(gridka: LabPlan, uri: str) -> None:
    line = reach.ssh_line(LabFolder(Path("/home")), dial.for_uri(uri), gridka.node("db-node"), ["id"])
    assert line[:3] == ["ssh", "-F", "/dev/null"]
    assert line[-2:] == [f"root@{gridka.node('db-node').mgmt}", "id"]
    assert not any("ProxyJump" in word for word in line)


def test_a_state_folder_may_have_any_name(gridka: LabPlan) -> None:
    folder = LabFolder(Path('/my labs/100% "here"'))
    line = reach.ssh_line(folder, dial.Direct(), gridka.node("db-node"), [])
    assert '-oIdentityFile="/my labs/100%% \\"here\\"/id_ed25519"' in line
