"""Topologies: the shipped ones, and the messages about broken ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from netaddr import IPAddress, IPNetwork

from labctl import data
from labctl.errors import InputError
from labctl.spec import topology
from labctl.spec.topology import Topology

PAIR = """\
name: pair
networks:
  mgmt: {kind: nat}
  internal: {subnet: 10.0.0.0/24, names: short}
  private: {}
nodes:
  a:
    nics:
      - network: mgmt
      - network: internal
        address: 10.0.0.3
  b:
    nics:
      - network: mgmt
      - network: internal
        address: 10.0.0.4
"""


def complaints(text: str) -> list[str]:
    """Return what is said about a topology, without the file's name."""
    with pytest.raises(InputError) as caught:
        topology.loads(text, "my.yaml")
    assert "labctl topology show" in caught.value.remedy
    return [line.removeprefix("my.yaml:") for line in caught.value.details.splitlines()]


def changed(old: str, new: str) -> str:
    assert PAIR.count(old) == 1
    return PAIR.replace(old, new)


def test_gridka_is_the_lab_of_the_tutorial():
    gridka = topology.load("gridka")
    wiring = {
        name: [(nic.network, str(nic.address) if nic.address else None) for nic in node.nics]
        for name, node in gridka.nodes.items()
    }
    central = ["db-node", "auth-node", "image-node", "api-node", "network-node", "volume-node"]
    expected = {
        name: [("mgmt", None), ("internal", f"10.0.0.{last}"), ("public", f"172.16.0.{last}")]
        for last, name in enumerate(central, start=3)
    }
    expected["network-node"].append(("private", None))
    for last, name in ((20, "compute-1"), (21, "compute-2")):
        expected[name] = [("mgmt", None), ("internal", f"10.0.0.{last}"), ("private", None)]
    assert wiring == expected
    assert list(wiring) == list(expected)
    assert gridka.mgmt == "mgmt"
    assert gridka.subnets == (IPNetwork("10.0.0.0/24"), IPNetwork("172.16.0.0/16"))
    assert gridka.networks["private"].subnet is None
    assert [disk.size for disk in gridka.nodes["volume-node"].disks] == [20 * 1024**3]
    assert gridka.domain == "example.org"
    assert sum(node.memory for node in gridka.nodes.values()) < 14 * 1024


def test_havana_is_the_lab_of_the_guide():
    havana = topology.load("havana")
    assert {name: [(nic.network, str(nic.address)) for nic in node.nics] for name, node in havana.nodes.items()} == {
        "controller": [("internal", "192.168.0.10"), ("external", "10.0.0.10"), ("mgmt", "None")],
        "compute1": [("internal", "192.168.0.11"), ("external", "10.0.0.11"), ("mgmt", "None")],
    }


def test_every_shipped_topology_is_valid_and_bears_the_name_of_its_file():
    assert topology.shipped() == ["allinone", "ceph", "gridka", "grizzly", "havana", "icehouse", "mini"]
    for name in topology.shipped():
        loaded = topology.load(name)
        assert loaded.name == name
        assert loaded.description


def test_a_file_of_ones_own_is_given_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "my.yaml").write_text(PAIR)
    monkeypatch.chdir(tmp_path)
    assert topology.load("my.yaml").name == "pair"
    assert topology.load("./my.yaml") == topology.load(tmp_path / "my.yaml")


def test_a_shipped_name_is_not_hidden_by_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mini").write_text(PAIR)
    monkeypatch.chdir(tmp_path)
    assert topology.load("mini").name == "mini"


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError) as caught:
        topology.load("gridca")
    assert 'did you mean "gridka"?' in caught.value.brief


def test_nodes_have_the_defaults_unless_they_say_otherwise():
    text = PAIR.replace("nodes:\n", "defaults: {memory: 2 GiB, vcpus: 2, image: cirros}\nnodes:\n")
    nodes = topology.loads(text.replace("  b:\n", "  b:\n    memory: 512\n    disk: 4\n"), "f").nodes
    assert (nodes["a"].memory, nodes["a"].vcpus, nodes["a"].image) == (2048, 2, "cirros")
    assert (nodes["b"].memory, nodes["b"].vcpus, nodes["b"].disk) == (512, 2, 4 * 1024**3)


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        ("512", 512),
        ('"512"', 512),
        ("512 MiB", 512),
        ("1.5 GiB", 1536),
        ("2g", 2048),
        ("2Gi", 2048),
        ("524288 KiB", 512),
    ],
)
def test_sizes_are_written_as_people_do(text, mib):
    nodes = topology.loads(PAIR.replace("  b:\n", f"  b:\n    memory: {text}\n"), "f").nodes
    assert nodes["b"].memory == mib


def test_addresses_are_addresses():
    pair = topology.loads(PAIR, "f")
    assert pair.nodes["a"].nics[1].address == IPAddress("10.0.0.3")
    assert pair.networks["internal"].subnet == IPNetwork("10.0.0.0/24")


def test_a_topology_survives_json():
    gridka = topology.load("gridka")
    again = topology.restore(json.loads(json.dumps(gridka.document())))
    assert again.document() == gridka.document()
    assert again.digest == gridka.digest
    assert list(again.nodes) == list(gridka.nodes)


def test_a_recorded_topology_that_is_damaged_is_an_error():
    content = topology.load("mini").document()
    content["nodes"]["node-1"]["nics"] = "gone"
    with pytest.raises(InputError, match="recorded topology"):
        topology.restore(content)


def test_the_digest_changes_with_what_matters_only():
    digest = topology.loads(PAIR, "f").digest
    assert topology.loads("# a comment\ndescription: said\n" + PAIR, "f").digest == digest
    assert topology.loads(PAIR.replace("private: {}", "private: {description: x}"), "f").digest == digest
    assert topology.loads(PAIR + "    memory: 1024\n", "f").digest == digest  # the default, written out
    assert topology.loads(changed("10.0.0.4", "10.0.0.5"), "f").digest != digest
    assert topology.loads(PAIR + "    memory: 2048\n", "f").digest != digest
    a, b = PAIR.index("  a:\n"), PAIR.index("  b:\n")
    assert topology.loads(PAIR[:a] + PAIR[b:] + PAIR[a:b], "f").digest != digest  # the order gives addresses


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "address: 10.0.0.3",
            "address: 10.0.1.3",
            "11: nodes.a.nics[1].address: 10.0.1.3 is not in internal's subnet 10.0.0.0/24; free to use are "
            "10.0.0.1 to 10.0.0.254",
        ),
        (
            "address: 10.0.0.3",
            "address: 10.0.0.0",
            "11: nodes.a.nics[1].address: 10.0.0.0 is the network address of 10.0.0.0/24; free to use are "
            "10.0.0.1 to 10.0.0.254",
        ),
        (
            "address: 10.0.0.3",
            "address: 10.0.0.255",
            "11: nodes.a.nics[1].address: 10.0.0.255 is the broadcast address of 10.0.0.0/24; free to use "
            "are 10.0.0.1 to 10.0.0.254",
        ),
        (
            "address: 10.0.0.3",
            "address: 10.0.0.3/24",
            '11: nodes.a.nics[1].address: "10.0.0.3/24" is not an IPv4 address like "10.0.0.3"; leave out '
            "the prefix length, the network's subnet gives it",
        ),
        (
            "address: 10.0.0.3",
            "address: 10.0.0.300",
            '11: nodes.a.nics[1].address: "10.0.0.300" is not an IPv4 address like "10.0.0.3"',
        ),
        (
            "address: 10.0.0.3",
            "addres: 10.0.0.3",
            '11: nodes.a.nics[1].addres: this key is unknown; did you mean "address"?',
        ),
        (
            "address: 10.0.0.4",
            "address: 10.0.0.3",
            "16: nodes.b.nics[1].address: 10.0.0.3 is a's address on internal already",
        ),
        (
            "      - network: internal\n        address: 10.0.0.4",
            "      - {network: private, address: 10.0.0.4}",
            "15: nodes.b.nics[1].address: private has no subnet; give it one or remove the address",
        ),
        (
            "      - network: internal\n        address: 10.0.0.4",
            "      - network: internl",
            '15: nodes.b.nics[1].network: there is no network "internl"; did you mean "internal"?',
        ),
        (
            "      - network: internal\n        address: 10.0.0.4",
            "      - network: mgmt",
            '15: nodes.b.nics[1].network: a second card on "mgmt"; a node has exactly one on the nat network',
        ),
        (
            "      - network: mgmt\n      - network: internal\n        address: 10.0.0.4",
            "      - network: internal",
            '13: nodes.b.nics: no card is on "mgmt"; labctl reaches a node by its card there',
        ),
        (
            "kind: nat",
            "kind: natt",
            '3: networks.mgmt.kind: "natt" is not known here; did you mean "nat"?',
        ),
        (
            "kind: nat",
            "kind: isolated",
            '2: networks: no network has "kind: nat"; labctl reaches the nodes by exactly one',
        ),
        (
            "private: {}",
            "private: {kind: nat}",
            '5: networks.private.kind: mgmt is "nat" already; make this one "isolated"',
        ),
        (
            "kind: nat",
            "kind: nat, subnet: 10.9.0.0/24",
            "3: networks.mgmt.subnet: a nat network has no subnet here: each team leases its own; remove this line",
        ),
        (
            "kind: nat",
            "kind: nat, names: full",
            '3: networks.mgmt.names: its addresses differ from team to team; use "names" on an isolated network',
        ),
        (
            "private: {}",
            "private: {names: full}",
            '5: networks.private.names: "names" needs a subnet on this network',
        ),
        (
            "private: {}",
            "private: {names: short, subnet: 10.2.0.0/24}",
            '5: networks.private.names: "names: short" is on internal already; a name can have one address only',
        ),
        (
            "private: {}",
            "private: {subnet: 10.0.0.0/8}",
            "5: networks.private.subnet: 10.0.0.0/8 overlaps internal's subnet 10.0.0.0/24",
        ),
        (
            "private: {}",
            "private: {subnet: 10.2.0.1/24}",
            '5: networks.private.subnet: "10.2.0.1/24" has bits set beyond its prefix; "10.2.0.0/24" is the '
            "subnet it lies in",
        ),
        (
            "private: {}",
            "private: {subnet: 10.2.0.0/31}",
            '5: networks.private.subnet: "10.2.0.0/31" has a prefix length that is not from 8 to 30',
        ),
        (
            "private: {}",
            "private: {subnet: 10.2.0.0/99}",
            '5: networks.private.subnet: "10.2.0.0/99" has a prefix length that is not from 8 to 30',
        ),
        (
            "private: {}",
            "private: {subnet: 224.0.0.0/24}",
            '5: networks.private.subnet: "224.0.0.0/24" is reserved by its standard; take one from '
            "10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16",
        ),
        (
            "private: {}",
            'private: {subnet: "fd00::/64"}',
            '5: networks.private.subnet: "fd00::/64" is not an IPv4 subnet like "10.0.0.0/24"',
        ),
        (
            "private: {}",
            "private: []",
            "5: networks.private: a mapping (key: value) is expected here, not a list",
        ),
        (
            "private: {}",
            "Private_Net: {}",
            '5: networks.Private_Net: "Private_Net" is not a network name: lower-case letters, digits and '
            'hyphens, at most 20 characters, no hyphen at either end; "private-net" would do',
        ),
        (
            "  b:\n",
            "  b.example.org:\n",
            '12: nodes."b.example.org": "b.example.org" is not a node name: lower-case letters, digits and '
            'hyphens, at most 40 characters, no hyphen at either end; "b-example-org" would do',
        ),
        (
            "  b:\n",
            "  localhost:\n",
            "12: nodes.localhost: a node cannot be called localhost",
        ),
        (
            "  b:\n",
            "  a-vdb:\n",
            "12: nodes.a-vdb: the name is kept for the disk vdb of a; choose another",
        ),
        (
            "  b:\n",
            "  b:\n    memory: much\n",
            '13: nodes.b.memory: "much" is not a size; write for instance "2 GiB"',
        ),
        (
            "  b:\n",
            "  b:\n    memory: 10737418240\n",
            "13: nodes.b.memory: 10737418240 is not from 64 MiB to 1 TiB",
        ),
        (
            "  b:\n",
            "  b:\n    memory: -1\n",
            "13: nodes.b.memory: -1 is not from 64 MiB to 1 TiB",
        ),
        (
            "  b:\n",
            "  b:\n    memory: true\n",
            '13: nodes.b.memory: true is not a size; write for instance "2 GiB"',
        ),
        (
            "  b:\n",
            "  b:\n    vcpus: 0\n",
            "13: nodes.b.vcpus: 0 is too small; at least 1",
        ),
        (
            "  b:\n",
            "  b:\n    vcpus: 65\n",
            "13: nodes.b.vcpus: 65 is too large; at most 64",
        ),
        (
            "  b:\n",
            "  b:\n    vcpus: two\n",
            '13: nodes.b.vcpus: a whole number is expected here, not "two"',
        ),
        (
            "  b:\n",
            "  b:\n    image: ../etc\n",
            '13: nodes.b.image: "../etc" is not an image name: lower-case letters, digits, dots, hyphens '
            "and underscores, at most 64 characters, beginning with a letter or digit",
        ),
        (
            "  b:\n",
            "  b:\n    disks: [{size: 1 MiB}]\n",
            '13: nodes.b.disks[0].size: "1 MiB" is not from 128 MiB to 2 TiB',
        ),
        (
            "  b:\n",
            "  b:\n    disks: [{}]\n",
            '13: nodes.b.disks[0]: "size" is missing',
        ),
        (
            "  b:\n",
            "  10:\n",
            '12: nodes.10: programs take "10" for an address; choose a name that is no number',
        ),
        (
            "  b:\n",
            "  0x1f:\n",
            '12: nodes.0x1f: programs take "0x1f" for an address; choose a name that is no number',
        ),
        (
            "  b:\n",
            "  ip6-allnodes:\n",
            "12: nodes.ip6-allnodes: ip6-allnodes has an address in /etc/hosts already; choose another name",
        ),
        (
            "private: {}",
            "private-of-us: {}",
            "5: networks.private-of-us: the name is longer than 12 characters, and bridges are named after it",
        ),
        (
            "name: pair",
            "name: pair\npassword: ''",
            "2: password: the password is empty; choose one, or remove the line",
        ),
        (
            "  b:\n",
            "  b:\n    vcpus: true\n",
            "13: nodes.b.vcpus: a whole number is expected here, not true",
        ),
        (
            "  b:\n",
            '  b:\n    vcpus: "2"\n',
            '13: nodes.b.vcpus: a whole number is expected here, not "2"',
        ),
        (
            "  b:\n",
            "  b:\n    vcpus: 2.0\n",
            "13: nodes.b.vcpus: a whole number is expected here, not 2.0",
        ),
        (
            "name: pair",
            "name: pair\n'[key]': 1",
            '2: "[key]": this key is unknown; known are name, description, domain, password, defaults, openstack, '
            "networks, nodes",
        ),
        (
            "private: {}",
            "'[key]': {}",
            '5: networks."[key]": "[key]" is not a network name: lower-case letters, digits and hyphens, at most 20 '
            'characters, no hyphen at either end; "key" would do',
        ),
        (
            "private: {}",
            "private: {'[key]': {}}",
            '5: networks.private."[key]": this key is unknown; known are kind, description, subnet, names',
        ),
        (
            "name: pair",
            "name: pair\ndomain: Example",
            '2: domain: "Example" is not a domain name like "example.org"',
        ),
        (
            "name: pair",
            "name: 7",
            "1: name: text is expected here, not 7",
        ),
        (
            "name: pair",
            "name: pair\ndomain: lab.7",
            "2: domain: browsers take names that end in a number for addresses; end it with a word",
        ),
        (
            "name: pair",
            "name: pair\nname: other",
            "2: name: the key is given twice, first on line 1",
        ),
        (
            "name: pair",
            'name: pair\npassword: "a\\nb"',
            '2: password: "a\\x0ab" holds the character U+000A; write one line of plain text',
        ),
    ],
)
def test_a_message_names_line_path_value_and_what_would_be_right(old, new, said):
    assert complaints(changed(old, new)) == [said]


def test_all_problems_are_reported_at_once_in_the_order_of_the_file():
    text = """\
nmae: x
networks:
  mgmt: {kind: nat, subnet: 10.1.1.0/24}
  mgmt: {kind: natt}
  internal: {subnet: 10.0.0.1/24}
  public: {subnet: 172.16.0.0/16}
nodes:
  a:
    vcpus: 700
    nics:
      - network: internl
        address: 10.0.1.3
      - network: public
        address: 10.0.1.3
  b:
    nics:
      - netwrk: internal
  c:
    nics:
  d:
    nics: []
"""
    assert complaints(text) == [
        '1: "name" is missing',
        '1: nmae: this key is unknown; did you mean "name"?',
        "4: networks.mgmt: the key is given twice, first on line 3",
        '4: networks.mgmt.kind: "natt" is not known here; did you mean "nat"?',
        '5: networks.internal.subnet: "10.0.0.1/24" has bits set beyond its prefix; '
        '"10.0.0.0/24" is the subnet it lies in',
        "9: nodes.a.vcpus: 700 is too large; at most 64",
        '11: nodes.a.nics[0].network: there is no network "internl"; did you mean "internal"?',
        "14: nodes.a.nics[1].address: 10.0.1.3 is not in public's subnet 172.16.0.0/16; "
        "free to use are 172.16.0.1 to 172.16.255.254",
        '17: nodes.b.nics[0]: "network" is missing',
        '17: nodes.b.nics[0].netwrk: this key is unknown; did you mean "network"?',
        "19: nodes.c.nics: a list (- item) is expected here, not nothing",
        "21: nodes.d.nics: at least 1 of these can be here, not 0",
    ]


def test_the_first_twenty_problems_are_listed_and_the_others_counted():
    text = PAIR + "".join(f"  c{number}: {{nics: [network: nowhere]}}\n" for number in range(25))
    listed = complaints(text)
    assert len(listed) == 21
    assert listed[-1] == "and 5 more; they are listed when these are corrected"


@pytest.mark.parametrize(
    "text", ["", "just text", "[]", "42", "{}", "name: x\nnodes: {}\nnetworks: {}", "networks:\nnodes:\n"]
)
def test_what_is_no_topology_at_all_is_refused_politely(text):
    assert complaints(text)


def test_nothing_that_follows_from_another_problem_is_reported():
    assert complaints(changed("subnet: 10.0.0.0/24", "subnet: nonsense")) == [
        '4: networks.internal.subnet: "nonsense" is not an IPv4 subnet like "10.0.0.0/24"'
    ]


def test_keys_that_came_later_leave_the_digest_of_what_does_not_use_them():
    """Golden sets and labs on record know their topology by it."""
    assert topology.load("gridka").digest == "a25acccebc6b9e61a04410925014995486997c3e63d89ed819539c258cf53031"
    text = topology.template("havana")
    silent = text.replace("  nested:", "  firewall: openvswitch\n  images: file\n  nested:")
    assert topology.loads(silent, "f").digest == topology.load("havana").digest
    assert topology.loads(text.replace("  nested:", "  tunnel: gre\n  nested:"), "f").digest != (
        topology.load("havana").digest
    )


def test_floating_addresses_are_a_range_or_a_subnet_without_its_ends():
    text = topology.template("havana")
    for part, first, last in (
        ("10.0.0.128/25", "10.0.0.129", "10.0.0.253"),  # .254 is the gateway's
        ("10.0.0.64/26", "10.0.0.65", "10.0.0.126"),
        ("10.0.0.200-10.0.0.220", "10.0.0.200", "10.0.0.220"),
        ("10.0.0.200 - 10.0.0.200", "10.0.0.200", "10.0.0.200"),
    ):
        made = topology.loads(text.replace("floating: 10.0.0.128/25", f"floating: {part}"), "f")
        again = topology.restore(made.document())
        assert again.digest == made.digest
        assert again.openstack is not None
        assert again.openstack.pool(IPNetwork("10.0.0.0/24")) == (IPAddress(first), IPAddress(last))


def test_the_schema_for_editors_is_current():
    text = (data.folder("networks") / "topology.schema.json").read_text()
    wanted = json.dumps(topology.schema(), indent=2) + "\n"
    assert text == wanted, "write topology.schema() to networks/topology.schema.json"


def test_the_schema_describes_every_key():
    schema = topology.schema()
    models = [schema, *schema["$defs"].values()]
    for model in models:
        for name, field in model["properties"].items():
            assert field.get("description") or "$ref" in field, name
    topology.restore(schema["examples"][0])


def test_the_schema_line_of_a_shipped_topology_points_to_the_schema():
    for name in topology.shipped():
        path = data.folder("networks") / "topologies" / f"{name}.yaml"
        first = path.read_text().splitlines()[0]
        assert (path.parent / first.removeprefix("# yaml-language-server: $schema=")).is_file()


def test_a_copied_topology_points_to_the_schema_and_is_the_same_lab():
    text = topology.template("gridka")
    assert Path(text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")).is_file()
    assert topology.loads(text, "copy").digest == topology.load("gridka").digest


def test_models_are_frozen():
    pair: Topology = topology.loads(PAIR, "f")
    with pytest.raises(ValueError, match="frozen"):
        pair.name = "other"  # type: ignore[misc]
