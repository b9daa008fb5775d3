"""What destroy takes away, what it leaves and names, and what it does with what others have damaged or lost."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from labctl.errors import HypervisorError, InputError, LabctlError, RefusedError
from labctl.hypervisor.fake_objects import FakeDomain
from labctl.lab import destroy, orphans
from tests.unit.fake_site import World

NOTHING = {"domains": [], "networks": [], "labs": []}


def left(world: World) -> dict[str, list[str]]:
    """Return what stands, without the base image."""
    found = world.inventory()
    return {
        key: [name for name in found[key] if "image-" not in name] for key in ("domains", "networks", "labs", "files")
    }


def volumes(world: World, team: str) -> list[str]:
    return [path.rpartition("/")[2] for path in world.inventory()["files"] if f"/{team}-" in path]


def domain(world: World, name: str) -> FakeDomain:
    return next(each for each in world.host.domains.values() if each.name == name)


def without_metadata(world: World, name: str) -> None:
    its = domain(world, name)
    its.document = re.sub("<metadata>.*</metadata>", "", its.document or "", flags=re.DOTALL)
    its.live = re.sub("<metadata>.*</metadata>", "", its.live, flags=re.DOTALL) if its.live else None


def foreign(world: World, name: str, *, disk: str = "", network: str = "") -> UUID:
    """Define somebody else's domain."""
    uuid = uuid4()
    card = f"<interface type='network'><mac address='52:54:00:00:00:01'/><source network='{network}'/></interface>"
    file = f"<disk><source file='/var/lib/libvirt/images/labctl/{disk}'/><target dev='vda'/></disk>"
    world.site().hypervisor.define_domain(
        f"<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory>1024</memory><os><type>hvm</type></os>"
        f"<devices>{file if disk else ''}{card if network else ''}</devices></domain>"
    )
    return uuid


def by_metadata(world: World, *teams: str, host: Any = None) -> list[orphans.Orphan]:
    found = orphans.find(world.home, world.site(), teams)
    for orphan in found:
        orphans.destroy(world.work(jobs=2), orphan)
    return found


def test_nothing_is_left_of_a_lab(world: World) -> None:
    world.create("red")
    world.destroy("red")
    assert left(world) == NOTHING | {"files": []}


def test_a_node_whose_metadata_is_gone_is_left_with_its_disks_and_its_record(world: World) -> None:
    world.create("red")
    without_metadata(world, "red-node-1")
    with pytest.raises(LabctlError) as caught:
        world.destroy("red")
    said = str(caught.value)
    assert caught.value.exit_code == 1
    assert "red-node-1" in said
    assert "its metadata does not say" in said
    assert "virsh -c 'fake:///' undefine red-node-1" in said
    assert domain(world, "red-node-1").state.active
    assert volumes(world, "red") == ["red-node-1-seed.iso", "red-node-1.qcow2"]
    assert world.record("red").team == "red"


def test_destroy_ends_well_when_the_stranger_is_gone(world: World) -> None:
    world.create("red")
    without_metadata(world, "red-node-1")
    with pytest.raises(LabctlError):
        world.destroy("red")
    world.site().hypervisor.remove_domain(domain(world, "red-node-1").uuid)
    world.destroy("red")
    assert left(world) == NOTHING | {"files": []}


def test_a_foreign_machine_keeps_the_disk_that_it_uses_and_is_named(world: World) -> None:
    world.create("red")
    foreign(world, "theirs", disk="red-node-1.qcow2")
    with pytest.raises(LabctlError) as caught:
        world.destroy("red")
    assert "domain theirs" in str(caught.value)
    assert "volume red-node-1.qcow2" in str(caught.value)
    assert volumes(world, "red") == ["red-node-1.qcow2"]
    assert left(world)["domains"] == ["theirs"]
    assert world.record("red").team == "red"


def test_a_foreign_machine_keeps_the_disk_that_its_own_stands_on(world: World) -> None:
    world.create("red")
    path = "/var/lib/libvirt/images/labctl"
    world.site().hypervisor.create_volume(
        "labctl",
        "<volume><name>theirs.qcow2</name><capacity>4294967296</capacity><target><format type='qcow2'/></target>"
        f"<backingStore><path>{path}/red-node-1.qcow2</path><format type='qcow2'/></backingStore></volume>",
    )
    foreign(world, "theirs", disk="theirs.qcow2")
    with pytest.raises(LabctlError, match=r"volume red-node-1\.qcow2"):
        world.destroy("red")
    assert "red-node-1.qcow2" in volumes(world, "red")


def test_a_network_with_a_foreign_card_is_left_and_named(world: World) -> None:
    world.create("red")
    foreign(world, "theirs", network="red-mgmt")
    with pytest.raises(LabctlError, match="network red-mgmt"):
        world.destroy("red")
    assert left(world)["networks"] == ["red-mgmt"]


def test_another_teams_machine_is_no_obstacle(world: World) -> None:
    world.create("red", "blue")
    world.destroy("red")
    assert [node.ready for node in world.status("blue").nodes] == [True, True]


def test_a_volume_that_cannot_be_deleted_is_named_and_a_second_try_ends_well(world: World) -> None:
    world.create("red")
    stuck(world, "red-node-1.qcow2")
    with pytest.raises(LabctlError, match=r"cannot delete volume red-node-1\.qcow2"):
        world.destroy("red")
    assert volumes(world, "red") == ["red-node-1.qcow2"]
    world.trace = lambda _: None
    world.destroy("red")
    assert left(world) == NOTHING | {"files": []}


@pytest.mark.parametrize("length", [0, 40, 400])
def test_a_lab_whose_record_was_cut_off_is_destroyed_by_its_metadata(world: World, length: int) -> None:
    world.create("red", "blue")
    cut(world, "red", length)
    assert [orphan.damaged for orphan in by_metadata(world, "red")] == [True]
    assert not any("red" in name for names in left(world).values() for name in names)
    assert [node.ready for node in world.status("blue").nodes] == [True, True]


def test_a_damaged_lab_of_which_the_host_has_nothing_is_not_called_destroyed(world: World) -> None:
    world.create("red")
    world.destroy("red")
    world.home.lab("red").write("lab.json", "{")
    with pytest.raises(InputError, match="host fake has none of its objects") as caught:
        orphans.destroy_damaged(world.work(), "red")
    assert "labctl destroy red --forget" in caught.value.remedy
    assert world.home.lab("red").exists


def test_a_lab_whose_folder_was_lost_is_an_orphan_and_others_are_not(world: World) -> None:
    world.create("red", "blue")
    world.home.lab("red").remove()
    (orphan,) = by_metadata(world)
    assert (orphan.team, orphan.topology, sorted(orphan.domains), orphan.damaged) == (
        "red",
        "mini",
        ["node-1", "node-2"],
        False,
    )
    assert not any("red" in name for names in left(world).values() for name in names)
    assert [node.ready for node in world.status("blue").nodes] == [True, True]


def test_what_another_installation_made_is_no_orphan_but_named(world: World) -> None:
    world.create("red")
    owner = world.home.owner
    world.home.lab("red").remove()
    (world.home.root / "owner").write_text(f"{uuid4()}\n")
    assert by_metadata(world) == []
    assert orphans.others(world.home, world.site()) == {owner: ["red"]}


def test_an_orphans_base_image_and_foreign_disks_stay(world: World) -> None:
    world.create("red")
    base = [path for path in world.inventory()["files"] if "image-" in path]
    world.home.lab("red").remove()
    foreign(world, "theirs", disk="red-node-2.qcow2")
    with pytest.raises(LabctlError, match="domain theirs"):
        by_metadata(world)
    assert volumes(world, "red") == ["red-node-2.qcow2"]
    assert set(base) <= set(world.inventory()["files"])


def test_volumes_that_nothing_proves_to_be_an_orphans_are_left_and_named(world: World) -> None:
    world.create("red")
    world.site().hypervisor.remove_domain(domain(world, "red-node-2").uuid)
    world.home.lab("red").remove()
    by_metadata(world)
    assert volumes(world, "red") == ["red-node-2-console.log", "red-node-2-seed.iso", "red-node-2.qcow2"]
    assert any("red-node-2.qcow2" in text for text in world.notes.said)


def test_a_record_that_appears_meanwhile_keeps_an_orphan(world: World) -> None:
    world.create("red")
    record = world.record("red")
    world.home.lab("red").remove()
    (orphan,) = orphans.find(world.home, world.site())
    world.home.lab("red").save(record)
    with pytest.raises(LabctlError, match="has a record by now"):
        orphans.destroy(world.work(), orphan)
    assert [node.ready for node in world.status("red").nodes] == [True, True]


def test_forgetting_a_lab_touches_no_host(world: World) -> None:
    world.create("red")
    before = left(world)
    destroy.forget(world.home, "red")
    assert left(world) == before | {"labs": []}
    with pytest.raises(InputError, match="red has no lab"):
        destroy.forget(world.home, "red")


def test_a_lab_on_another_host_is_not_destroyed_here(world: World) -> None:
    world.create("red")
    work = world.work()
    object.__setattr__(work.site, "name", "elsewhere")
    with pytest.raises(RefusedError, match="on host fake"):
        destroy.destroy(work, "red")


def stuck(world: World, volume: str) -> None:
    """Have the host fail to delete a volume."""

    def trace(call: str) -> None:
        if call == f"before: delete volume {volume}":
            raise HypervisorError(f"cannot delete volume {volume}", details="Operation not permitted")

    world.trace = trace


def cut(world: World, team: str, length: int) -> None:
    """Leave only the beginning of a record."""
    folder = world.home.lab(team)
    folder.write("lab.json", (folder.read("lab.json") or "")[:length])


def test_a_disk_that_a_foreign_machine_uses_is_not_reset_away(world: World) -> None:
    world.create("red")
    before = world.record("red")
    foreign(world, "theirs", disk="red-node-1.qcow2")
    with pytest.raises(RefusedError, match="other machines use disks of red's nodes") as caught:
        world.reset("red", "node-1")
    assert caught.value.details == "domain theirs: volume red-node-1.qcow2"
    assert world.record("red") == before
    assert [node.ready for node in world.status("red").nodes] == [True, True]
    world.reset("red", "node-2")


def test_a_clone_of_a_node_has_its_metadata_and_is_nobodys_orphan(world: World) -> None:
    world.create("red")
    document = ET.fromstring(domain(world, "red-node-1").document or "")
    for tag, text in (("name", "clone"), ("uuid", str(uuid4()))):
        element = document.find(tag)
        assert element is not None
        element.text = text
    for disk in document.findall("devices/disk"):
        cast(ET.Element, document.find("devices")).remove(disk)
    for card in document.findall("devices/interface"):
        cast(ET.Element, document.find("devices")).remove(card)
    world.site().hypervisor.define_domain(ET.tostring(document, encoding="unicode"))
    world.home.lab("red").remove()
    by_metadata(world)
    assert left(world)["domains"] == ["clone"]
    assert by_metadata(world) == []
