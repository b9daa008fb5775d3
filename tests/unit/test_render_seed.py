"""cloud-init documents and seed ISOs."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pycdlib
import pytest
import yaml

from labctl.errors import InputError
from labctl.plan.lab import plan
from labctl.plan.model import HostEntry, LabPlan
from labctl.render import seed
from labctl.render.seed import SeedKeys
from labctl.spec import topology


def loaded(lab: LabPlan, name: str, keys: SeedKeys) -> dict[str, dict]:
    return {key: yaml.safe_load(text) for key, text in seed.documents(lab.node(name), lab, keys=keys).items()}


def test_documents_are_as_recorded(gridka: LabPlan, keys: SeedKeys, golden: Callable[[str, str], None]):
    for node in gridka.nodes:
        for name, text in seed.documents(node, gridka, keys=keys).items():
            golden(f"gridka/{node.name}.{name}", text)


def test_documents_with_a_password_are_as_recorded(mini: LabPlan, keys: SeedKeys, golden: Callable[[str, str], None]):
    lab = replace(mini, password='it\'s "secret": #1')
    golden("mini-password.user-data", seed.documents(lab.nodes[0], lab, keys=keys)["user-data"])


def test_root_logs_in_by_the_labs_key_with_a_host_key_that_is_known(gridka: LabPlan, keys: SeedKeys):
    user = loaded(gridka, "db-node", keys)["user-data"]
    assert user["ssh_authorized_keys"] == list(keys.authorized)
    assert user["ssh_keys"] == {"ed25519_private": keys.host_private, "ed25519_public": keys.host_public}
    assert user["ssh_deletekeys"] is True
    assert user["disable_root"] is False
    assert "chpasswd" not in user


def test_a_password_opens_the_node_to_passwords(mini: LabPlan, keys: SeedKeys):
    user = loaded(replace(mini, password="p: '#"), "node-1", keys)["user-data"]
    assert user["chpasswd"]["users"] == [{"name": "root", "password": "p: '#", "type": "text"}]
    assert user["ssh_pwauth"] is True
    assert any("PermitRootLogin yes" in file["content"] for file in user["write_files"])


def test_the_name_is_the_short_one(gridka: LabPlan, keys: SeedKeys):
    documents = loaded(gridka, "db-node", keys)
    assert documents["user-data"]["hostname"] == documents["meta-data"]["local-hostname"] == "db-node"
    assert documents["user-data"]["fqdn"] == "db-node.example.org"
    assert documents["user-data"]["prefer_fqdn_over_hostname"] is False


def test_hosts_have_private_and_public_names_and_no_127_0_1_1(gridka: LabPlan, keys: SeedKeys):
    user = loaded(gridka, "db-node", keys)["user-data"]
    [hosts] = [file["content"] for file in user["write_files"] if file["path"] == "/etc/hosts"]
    lines = hosts.splitlines()
    assert "10.0.0.3 db-node" in lines
    assert "172.16.0.3 db-node.example.org" in lines
    assert "10.0.0.21 compute-2" in lines
    assert "127.0.0.1 localhost" in lines
    assert "127.0.1.1" not in hosts
    assert user["manage_etc_hosts"] is False


def test_a_node_without_an_address_of_its_own_still_knows_its_name(make_identity, keys: SeedKeys):
    text = "name: x\nnetworks: {m: {kind: nat}}\nnodes: {lone: {nics: [{network: m}]}}\n"
    lab = plan(topology.loads(text, "f"), make_identity())
    user = loaded(lab, "lone", keys)["user-data"]
    assert "127.0.1.1 lone" in user["write_files"][0]["content"].splitlines()


def test_cards_are_matched_by_mac_and_named_in_order(gridka: LabPlan, keys: SeedKeys):
    network = loaded(gridka, "network-node", keys)["network-config"]
    assert network["version"] == 2
    cards = network["ethernets"]
    assert list(cards) == ["eth0", "eth1", "eth2", "eth3"]
    assert [card["match"]["macaddress"] for card in cards.values()] == [
        nic.mac for nic in gridka.node("network-node").nics
    ]
    assert all(card["set-name"] == name for name, card in cards.items())
    assert cards["eth0"]["dhcp4"] is True
    assert cards["eth0"]["dhcp-identifier"] == "mac"
    assert cards["eth1"]["addresses"] == ["10.0.0.7/24"]
    assert cards["eth2"]["addresses"] == ["172.16.0.7/16"]
    assert "addresses" not in cards["eth3"]
    assert cards["eth3"]["dhcp4"] is False
    assert cards["eth3"]["link-local"] == []


def test_no_card_gets_an_address_that_nobody_gave_it(gridka: LabPlan, keys: SeedKeys):
    """cloud-init's writer for systemd-networkd drops `link-local: []`: a file beside its own says it."""
    files = loaded(gridka, "network-node", keys)["user-data"]["write_files"]
    found = {file["path"]: file["content"] for file in files}
    for card in ("eth0", "eth1", "eth2", "eth3"):
        text = found[f"/etc/systemd/network/10-cloud-init-{card}.network.d/labctl.conf"]
        assert text == "[Network]\nLinkLocalAddressing=no\n"


def test_only_mgmt_gives_a_route_and_only_mgmt_is_waited_for(gridka: LabPlan, keys: SeedKeys):
    for node in gridka.nodes:
        cards = loaded(gridka, node.name, keys)["network-config"]["ethernets"]
        assert not any("routes" in card or "gateway4" in card for card in cards.values())
        assert [card.get("optional", False) for card in cards.values()] == [not nic.dhcp for nic in node.nics]


def test_a_new_generation_is_a_new_instance_with_the_same_network(make_identity, keys: SeedKeys):
    old, new = (plan(topology.load("mini"), make_identity(node_1=generation)) for generation in (0, 1))
    before, after = loaded(old, "node-1", keys), loaded(new, "node-1", keys)
    assert before["meta-data"]["instance-id"] != after["meta-data"]["instance-id"]
    assert before["network-config"] == after["network-config"]
    assert before["user-data"] == after["user-data"]


HOSTILE = "x'\"\n# ${HOME} $(reboot) ]]> {{ 7 * 7 }}: - *a &b !c"


def test_hostile_values_stay_values(mini: LabPlan, keys: SeedKeys):
    lab = replace(mini, password=HOSTILE, domain=HOSTILE)
    evil = SeedKeys(authorized=(HOSTILE,), host_private=HOSTILE, host_public=HOSTILE, known_hosts=HOSTILE)
    documents = loaded(lab, "node-1", evil)
    user = documents["user-data"]
    assert set(user) == set(loaded(replace(mini, password="x"), "node-1", keys)["user-data"])
    assert user["ssh_authorized_keys"] == documents["meta-data"]["public-keys"] == [HOSTILE]
    assert user["chpasswd"]["users"][0]["password"] == HOSTILE
    assert user["fqdn"] == f"node-1.{HOSTILE}"


@pytest.mark.parametrize("name", ["two words", "line\nbreak", "com#ment", "nul\0"])
def test_a_host_name_cannot_add_a_line_to_hosts(mini: LabPlan, keys: SeedKeys, name: str):
    entry = HostEntry(address=mini.hosts[0].address, names=(name,))
    with pytest.raises(InputError):
        seed.documents(mini.nodes[0], replace(mini, hosts=(*mini.hosts, entry)), keys=keys)


def test_control_characters_are_refused(mini: LabPlan, keys: SeedKeys):
    with pytest.raises(InputError, match=r"U\+0000"):
        seed.documents(mini.nodes[0], mini, keys=replace(keys, host_private="a\0b"))


def test_the_private_key_is_not_shown(keys: SeedKeys):
    assert "PRIVATE" not in repr(keys)


def read(content: bytes) -> dict[str, str]:
    """Read the files of an ISO by their long names."""
    image = pycdlib.PyCdlib()
    image.open_fp(io.BytesIO(content))
    files = {}
    for child in image.list_children(rr_path="/"):
        name = child.rock_ridge.name().decode()
        if child.is_file():
            for path in ({"rr_path": f"/{name}"}, {"joliet_path": f"/{name}"}):
                into = io.BytesIO()
                image.get_file_from_iso_fp(into, **path)
                files[name] = into.getvalue().decode()
    image.close()
    return files


def test_the_iso_holds_the_documents_under_their_names(gridka: LabPlan, keys: SeedKeys):
    documents = seed.documents(gridka.nodes[0], gridka, keys=keys)
    content = seed.iso(documents)
    assert read(content) == documents
    assert content[16 * 2048 + 40 :][:32].strip() == b"cidata"
    assert len(content) < 128 * 1024


def test_the_iso_is_the_same_at_any_time_and_place(gridka: LabPlan, keys: SeedKeys, monkeypatch: pytest.MonkeyPatch):
    documents = seed.documents(gridka.nodes[0], gridka, keys=keys)
    now = seed.iso(documents)
    monkeypatch.setattr("time.time", lambda: 1_000_000_000.0)
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    import time

    time.tzset()
    try:
        assert seed.iso(documents) == now
    finally:
        monkeypatch.undo()
        time.tzset()
    assert read(now) == documents


def test_a_long_document_fits_too():
    documents = {"user-data": "#cloud-config\n" + "# x\n" * 50_000, "meta-data": "a", "network-config": ""}
    assert read(seed.iso(documents)) == documents
