"""The plan of a lab: names, addresses, MACs and UUIDs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from uuid import UUID

import pytest
from netaddr import IPAddress

from labctl.errors import CapacityError
from labctl.plan import lab as planning
from labctl.plan.lab import plan
from labctl.plan.model import LabPlan
from labctl.spec import topology


def macs(lab: LabPlan) -> list[str]:
    return [nic.mac for node in lab.nodes for nic in node.nics]


def test_the_plan_is_the_same_every_time(make_identity, gridka: LabPlan):
    assert plan(topology.load("gridka"), make_identity()) == gridka


def test_names_are_those_of_the_team_and_the_tutorial(gridka: LabPlan):
    volume_node = gridka.node("volume-node")
    assert [node.domain for node in gridka.nodes][:2] == ["team01-db-node", "team01-auth-node"]
    assert [network.name for network in gridka.networks] == [
        "team01-mgmt",
        "team01-internal",
        "team01-public",
        "team01-private",
    ]
    assert [(disk.volume, disk.device, disk.image) for disk in volume_node.disks] == [
        ("team01-volume-node.qcow2", "vda", "debian-13"),
        ("team01-volume-node-vdb.qcow2", "vdb", None),
    ]
    assert gridka.node("db-node").seed == "team01-db-node-seed.iso"
    assert gridka.node("db-node").title == "team01 · db-node (gridka)"


def test_all_names_of_a_lab_are_different(gridka: LabPlan):
    volumes = [name for node in gridka.nodes for name in (*(disk.volume for disk in node.disks), node.seed)]
    bridges = [network.bridge for network in gridka.networks]
    uuids = [node.uuid for node in gridka.nodes] + [network.uuid for network in gridka.networks]
    addresses = macs(gridka) + [network.mac for network in gridka.networks]
    for names in (volumes, bridges, uuids, addresses):
        assert len(set(names)) == len(names)


def test_mgmt_addresses_follow_the_order_of_the_topology(gridka: LabPlan):
    mgmt = gridka.network("mgmt")
    assert mgmt.nat
    assert mgmt.gateway == IPAddress("192.168.128.1")
    assert [str(node.mgmt) for node in gridka.nodes] == [f"192.168.128.{place}" for place in range(10, 18)]
    assert [(lease.hostname, lease.address) for lease in mgmt.leases] == [
        (node.name, node.mgmt) for node in gridka.nodes
    ]
    assert [lease.mac for lease in mgmt.leases] == [node.nics[0].mac for node in gridka.nodes]


def test_the_host_has_no_address_on_isolated_networks(gridka: LabPlan):
    for key in ("internal", "public", "private"):
        network = gridka.network(key)
        assert not network.nat
        assert network.gateway is None
        assert network.leases == ()


def test_cards_are_named_in_order_and_the_last_may_be_unconfigured(gridka: LabPlan):
    nics = gridka.node("network-node").nics
    assert [(nic.name, nic.network, str(nic.address), nic.prefix, nic.dhcp) for nic in nics] == [
        ("eth0", "mgmt", "192.168.128.14", None, True),
        ("eth1", "internal", "10.0.0.7", 24, False),
        ("eth2", "public", "172.16.0.7", 16, False),
        ("eth3", "private", "None", None, False),
    ]


def test_mgmt_may_be_any_card(make_identity):
    havana = plan(topology.load("havana"), make_identity())
    assert [(nic.name, nic.dhcp) for nic in havana.node("controller").nics] == [
        ("eth0", False),
        ("eth1", False),
        ("eth2", True),
    ]
    assert havana.node("controller").mgmt == IPAddress("192.168.128.10")


def test_private_and_public_names_have_the_addresses_of_the_tutorial(gridka: LabPlan):
    hosts = {name: str(entry.address) for entry in gridka.hosts for name in entry.names}
    assert hosts["db-node"] == "10.0.0.3"
    assert hosts["db-node.example.org"] == "172.16.0.3"
    assert hosts["compute-2"] == "10.0.0.21"
    assert "compute-2.example.org" not in hosts
    assert len(hosts) == 8 + 6


def test_macs_are_the_same_for_every_team_and_everything_outside_is_not(make_identity, gridka: LabPlan):
    other = plan(topology.load("gridka"), make_identity("team02", lab=2, mgmt="192.168.129.0/24"))
    assert macs(other) == macs(gridka)
    assert other.hosts == gridka.hosts
    assert not {node.uuid for node in other.nodes} & {node.uuid for node in gridka.nodes}
    assert not {node.machine_id for node in other.nodes} & {node.machine_id for node in gridka.nodes}
    assert not {network.bridge for network in other.networks} & {network.bridge for network in gridka.networks}
    assert not {network.mac for network in other.networks} & {network.mac for network in gridka.networks}


def test_macs_are_in_qemus_range_and_bridges_fit_linux(gridka: LabPlan):
    assert all(mac.startswith("52:54:00:") and len(mac) == 17 for mac in macs(gridka))
    assert all(network.bridge.startswith("lab") and len(network.bridge) == 13 for network in gridka.networks)


def test_a_mac_that_is_taken_is_not_given_twice(make_identity, monkeypatch: pytest.MonkeyPatch):
    real = planning._hash
    # Everything but a second and third attempt falls on the same value.
    monkeypatch.setattr(planning, "_hash", lambda seed: real(seed) if "#" in seed else bytes(32))
    lab = plan(topology.load("mini"), make_identity())
    assert len(set(macs(lab))) == len(macs(lab)) == 6
    assert macs(lab)[0] == "52:54:00:00:00:00"


def test_a_new_generation_has_a_new_machine_id_and_is_the_same_node(make_identity, gridka: LabPlan):
    again = plan(topology.load("gridka"), make_identity(image_node=1))
    old, new = gridka.node("image-node"), again.node("image-node")
    assert (old.generation, new.generation) == (0, 1)
    assert old.machine_id != new.machine_id
    assert old.instance_id != new.instance_id
    assert (old.uuid, old.nics, old.disks, old.seed) == (new.uuid, new.nics, new.disks, new.seed)
    assert again.node("db-node") == gridka.node("db-node")


def test_machine_ids_look_random_to_systemd(gridka: LabPlan):
    for node in gridka.nodes:
        assert UUID(hex=node.machine_id).version == 4
        assert len(node.machine_id) == 32


def test_a_subnet_that_is_too_small_is_refused_with_numbers(make_identity):
    with pytest.raises(CapacityError) as caught:
        plan(topology.load("gridka"), make_identity(mgmt="192.168.128.0/28"))
    assert "5 addresses" in caught.value.brief
    assert "8 nodes" in caught.value.brief


def test_names_stay_within_what_a_host_name_may_have(make_identity):
    text = "name: x\nnetworks: {m: {kind: nat}}\nnodes:\n  " + "n" * 40 + ":\n    nics: [{network: m}]\n"
    lab = plan(topology.loads(text, "f"), make_identity("t" * 20))
    assert len(lab.nodes[0].domain) <= 63


def test_a_password_of_the_topology_reaches_the_plan(make_identity):
    text = topology.template("mini").replace("domain:", "password: secret\ndomain:")
    assert plan(topology.loads(text, "f"), make_identity()).password == "secret"


def test_a_plan_is_plain_data(gridka: LabPlan):
    assert asdict(gridka)["nodes"][0]["name"] == "db-node"


def test_planning_loads_neither_libvirt_nor_the_renderers():
    code = (
        "import sys; import labctl.plan.lab, labctl.plan.addresses, labctl.plan.capacity, labctl.plan.diff;"
        "heavy = ('libvirt', 'jinja2', 'pycdlib', 'pydantic', 'yaml', 'paramiko');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
