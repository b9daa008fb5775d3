"""libvirt's documents."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import libvirt
import pytest

from labctl.errors import InputError
from labctl.plan.model import LabPlan
from labctl.render import xml
from labctl.render.xml import Machine

TCG = Machine(virt="qemu", volumes=PurePosixPath("/srv/labs"), cpu="maximum")
KVM = Machine(virt="kvm", volumes=PurePosixPath("/srv/labs"), type="q35")
LABCTL = f"{{{xml.NAMESPACE}}}"


def every_document(lab: LabPlan) -> list[tuple[str, str]]:
    """Return every document of a lab with the name of its schema."""
    documents = [("network", xml.network_xml(network, lab)) for network in lab.networks]
    for node in lab.nodes:
        documents += [("domain", xml.domain_xml(node, lab, machine=machine)) for machine in (TCG, KVM)]
        documents += [
            ("storagevol", xml.disk_xml(disk, backing="/srv/labs/base.qcow2" if disk.image else None))
            for disk in node.disks
        ]
        documents.append(("storagevol", xml.volume_xml(node.seed, form="raw", capacity=71680)))
    documents.append(("storagepool", xml.pool_xml("labctl", "/srv/labs")))
    return documents


def untitled(network: str) -> str:
    """Return a network's document as libvirt before 9.7 reads it."""
    root = ET.fromstring(network)
    for tag in ("title", "description"):
        root.remove(root.find(tag))
    return ET.tostring(root, encoding="unicode")


def domain(lab: LabPlan, name: str, machine: Machine = TCG) -> ET.Element:
    return ET.fromstring(xml.domain_xml(lab.node(name), lab, machine=machine))


@pytest.mark.parametrize("machine", [TCG, KVM], ids=["tcg", "kvm"])
def test_domains_are_as_recorded(gridka: LabPlan, golden: Callable[[str, str], None], machine: Machine):
    for name in ("network-node", "volume-node"):
        text = xml.domain_xml(gridka.node(name), gridka, machine=machine)
        golden(f"gridka/{name}.{machine.virt}.xml", text)


def test_networks_are_as_recorded(gridka: LabPlan, golden: Callable[[str, str], None]):
    for network in gridka.networks:
        golden(f"gridka/network-{network.key}.xml", xml.network_xml(network, gridka))


def test_volumes_and_pools_are_as_recorded(gridka: LabPlan, golden: Callable[[str, str], None]):
    system, data = gridka.node("volume-node").disks
    golden("gridka/volume-vda.xml", xml.disk_xml(system, backing="/srv/labs/base.qcow2"))
    golden("gridka/volume-vdb.xml", xml.disk_xml(data, backing=None))
    golden("gridka/volume-seed.xml", xml.volume_xml("team01-volume-node-seed.iso", form="raw", capacity=71680))
    golden("pool.xml", xml.pool_xml("labctl", "/srv/labs"))


def test_every_document_is_well_formed(gridka: LabPlan):
    for _, text in every_document(gridka):
        ET.fromstring(text)


@pytest.mark.skipif(
    not shutil.which("xmllint") or not Path("/usr/share/libvirt/schemas/domain.rng").exists(),
    reason="needs xmllint (libxml2-utils) and libvirt's schemas (libvirt-daemon-system)",
)
def test_every_document_fits_libvirts_schema(gridka: LabPlan, tmp_path: Path):
    for number, (schema, text) in enumerate(every_document(gridka)):
        path = tmp_path / f"{number}.xml"
        rng = f"/usr/share/libvirt/schemas/{schema}.rng"
        path.write_text(text if '"title"' in Path(rng).read_text() or schema != "network" else untitled(text))
        done = subprocess.run(["xmllint", "--noout", "--relaxng", rng, path], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_data_disks_come_first_and_the_seed_takes_no_letter_of_theirs(gridka: LabPlan):
    disks = domain(gridka, "volume-node").findall("devices/disk")
    assert [(d.get("device"), d.find("target").attrib, d.find("source").get("file")) for d in disks] == [
        ("disk", {"dev": "vda", "bus": "virtio"}, "/srv/labs/team01-volume-node.qcow2"),
        ("disk", {"dev": "vdb", "bus": "virtio"}, "/srv/labs/team01-volume-node-vdb.qcow2"),
        ("cdrom", {"dev": "sda", "bus": "scsi"}, "/srv/labs/team01-volume-node-seed.iso"),
    ]
    assert disks[2].find("readonly") is not None


def test_cards_are_in_the_plans_order(gridka: LabPlan):
    cards = domain(gridka, "network-node").findall("devices/interface")
    assert [card.find("source").get("network") for card in cards] == [
        "team01-mgmt",
        "team01-internal",
        "team01-public",
        "team01-private",
    ]
    assert [card.find("mac").get("address") for card in cards] == [nic.mac for nic in gridka.node("network-node").nics]


def test_objects_carry_our_metadata(gridka: LabPlan):
    node = domain(gridka, "db-node").find(f"metadata/{LABCTL}node")
    assert node.attrib == {
        "owner": str(gridka.identity.owner),
        "lab": str(gridka.identity.lab),
        "team": "team01",
        "topology": "gridka",
        "digest": gridka.digest,
        "stage": "bare",
        "node": "db-node",
        "generation": "0",
    }
    network = ET.fromstring(xml.network_xml(gridka.network("mgmt"), gridka)).find(f"metadata/{LABCTL}network")
    assert network.attrib == {key: node.attrib[key] for key in ("owner", "lab", "team", "topology", "digest")} | {
        "network": "mgmt"
    }


def test_virt_manager_users_feel_at_home(gridka: LabPlan):
    made = domain(gridka, "db-node")
    libosinfo = "{http://libosinfo.org/xmlns/libvirt/domain/1.0}"
    assert made.findtext("title") == "team01 · db-node (gridka)"
    assert made.findtext("description").startswith("Node db-node of the gridka lab of team01.")
    assert made.find(f"metadata/{libosinfo}libosinfo/{libosinfo}os").get("id") == "http://debian.org/debian/13"
    assert made.find("devices/graphics/listen").get("address") == "127.0.0.1"
    assert made.find("devices/channel/target").get("name") == "org.qemu.guest_agent.0"
    unknown = domain(gridka, "db-node", replace(TCG, os_info=""))
    assert unknown.find(f"metadata/{libosinfo}libosinfo") is None


def test_networks_say_what_they_are(gridka: LabPlan):
    said = {key: ET.fromstring(xml.network_xml(gridka.network(key), gridka)) for key in ("mgmt", "public", "private")}
    assert said["public"].findtext("title") == "team01 · public (gridka)"
    assert (
        said["public"].findtext("description").startswith("Network public of the gridka lab of team01: isolated, 172.")
    )
    assert "NAT and DHCP on 192.168.128.0/24" in said["mgmt"].findtext("description")
    assert "left unconfigured" in said["private"].findtext("description")


def test_a_libvirt_that_knows_no_titles_of_networks_takes_them_all_the_same(gridka: LabPlan, tmp_path: Path):
    empty = tmp_path / "node.xml"
    empty.write_text("<node/>")
    with contextlib.closing(libvirt.open(f"test://{empty}")) as driver:
        for network in gridka.networks:
            kept = ET.fromstring(driver.networkDefineXML(xml.network_xml(network, gridka)).XMLDesc())
            assert kept.findtext("uuid") == str(network.uuid)
            assert kept.find(f"metadata/{LABCTL}network") is not None
            titles = libvirt.getVersion() >= 9_007_000
            assert kept.findtext("title") == (network.title if titles else None)


def test_emulation_has_a_bounded_translation_cache_and_kvm_none(gridka: LabPlan):
    emulated, real = domain(gridka, "db-node"), domain(gridka, "db-node", KVM)
    assert emulated.get("type") == "qemu"
    assert emulated.findtext("features/tcg/tb-cache") == "96"
    with_cloud = domain(replace(gridka, stage="installed"), "db-node")
    assert with_cloud.findtext("features/tcg/tb-cache") == "512"
    assert emulated.find("cpu").get("mode") == "maximum"
    assert real.get("type") == "kvm"
    assert real.find("features/tcg") is None
    assert real.find("cpu").get("mode") == "host-passthrough"
    model = domain(gridka, "db-node", replace(TCG, cpu="EPYC")).find("cpu")
    assert (model.get("mode"), model.findtext("model")) == ("custom", "EPYC")


def test_the_machine_id_comes_with_the_firmware(gridka: LabPlan):
    made = domain(gridka, "db-node")
    machine_id = gridka.node("db-node").machine_id
    assert made.findtext("sysinfo/oemStrings/entry") == f"io.systemd.credential:system.machine_id={machine_id}"
    assert made.find("os/smbios").get("mode") == "sysinfo"


def test_nat_serves_our_nodes_only_and_asks_no_name_server(gridka: LabPlan):
    mgmt = ET.fromstring(xml.network_xml(gridka.network("mgmt"), gridka))
    assert mgmt.find("forward").get("mode") == "nat"
    assert mgmt.find("ip").attrib == {"address": "192.168.128.1", "prefix": "24"}
    assert mgmt.find("ip/dhcp/range") is None
    assert len(mgmt.findall("ip/dhcp/host")) == 8
    assert [option.get("value") for option in mgmt.iter() if option.tag.endswith("}option")] == ["no-resolv"]


def test_an_isolated_network_leaves_the_host_out(gridka: LabPlan):
    for key in ("internal", "public", "private"):
        network = ET.fromstring(xml.network_xml(gridka.network(key), gridka))
        assert network.find("forward") is None
        assert network.find("ip") is None


def test_hostile_values_stay_values(gridka: LabPlan):
    hostile = "]]><domain type='kvm'/> & \"quotes\" ${HOME}\n{{ 7 * 7 }}"
    node = replace(gridka.nodes[0], title=hostile, description=hostile)
    made = ET.fromstring(xml.domain_xml(node, gridka, machine=replace(TCG, os_info=hostile)))
    assert made.findtext("title") == hostile
    assert len(made.findall("domain")) == 0
    network = replace(gridka.networks[0], title=hostile, description=hostile)
    named = ET.fromstring(xml.network_xml(network, gridka))
    assert (named.findtext("title"), named.findtext("description")) == (hostile, hostile)
    pool = ET.fromstring(xml.pool_xml(hostile, "/srv/<x>"))
    assert (pool.findtext("name"), pool.findtext("target/path")) == (hostile, "/srv/<x>")


@pytest.mark.parametrize("value", ["\0", "\x1b", "\ufffe"])
def test_control_characters_are_refused(gridka: LabPlan, value: str):
    with pytest.raises(InputError):
        xml.domain_xml(replace(gridka.nodes[0], title=value), gridka, machine=TCG)


def test_a_value_that_is_not_there_is_an_error(gridka: LabPlan):
    broken = replace(gridka.networks[0], gateway=None)
    with pytest.raises(TypeError, match="does not exist"):
        xml.network_xml(broken, gridka)
