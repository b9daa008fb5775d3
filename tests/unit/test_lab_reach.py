"""What is run to get into a lab."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from labctl.errors import InputError, RefusedError
from labctl.lab import reach
from labctl.plan.model import LabPlan
from labctl.remote import dial
from labctl.state import LabFolder, records
from tests.unit.fake_site import World


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


def test_a_node_is_logged_in_to_and_its_console_opened_while_it_runs(world: World) -> None:
    world.create("red")
    plan = records.plan_of(world.record("red"))
    assert reach.ssh(world.home, world.site(), plan, "node-1", ["uptime"])[-2:] == [
        f"root@{plan.node('node-1').mgmt}",
        "uptime",
    ]
    assert reach.console(world.home, world.site(), plan, "node-1")[-1] == str(plan.node("node-1").uuid)


@pytest.mark.parametrize(
    ("happened", "remedy"),
    [("off", "labctl start red --node node-1"), ("gone", "labctl create red"), ("unknown", "")],
)
def test_a_node_that_does_not_run_is_not_reached_and_what_helps_is_said(
    world: World, happened: str, remedy: str
) -> None:
    world.create("red")
    plan = records.plan_of(world.record("red"))
    if happened == "off":
        world.stop("red", "node-1")
    elif happened == "gone":
        world.site().hypervisor.remove_domain(plan.node("node-1").uuid)
    name = "node-9" if happened == "unknown" else "node-1"
    ssh = partial(reach.ssh, world.home, world.site(), plan, name, [])
    console = partial(reach.console, world.home, world.site(), plan, name)
    for way in (ssh, console):
        with pytest.raises(InputError) as caught:
            way()
        assert caught.value.remedy == remedy


def test_a_lab_on_another_machine_is_not_entered(world: World) -> None:
    world.create("red")
    with pytest.raises(RefusedError, match="is another machine"):
        reach.enter(world.home, world.site(), records.plan_of(world.record("red")), ["true"], {})
