"""Roles and their nodes: what the installer would trip over is found, with its line, before anything is made."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from labctl.cloud.cloud import Cloud
from labctl.errors import InputError
from labctl.installing.passwords import complete
from labctl.installing.tasks import plan_tasks
from labctl.plan.lab import INSTALLED, plan
from labctl.roles import fit
from labctl.roles.role import ROLES, Role
from labctl.spec import topology
from tests.unit.test_roles import IDENTITY

LAB = """\
name: small
networks:
  mgmt: {kind: nat}
  internal: {subnet: 10.0.0.0/24, names: short}
  public: {subnet: 172.16.0.0/16, names: full}
  private: {}
openstack:
  internal: internal
  public: public
  private: private
  floating: 172.16.1.0/24
  tenant: 10.99.0.0/22
  passwords: {demo: secret}
nodes:
  one:
    roles: [mariadb, rabbitmq, memcached, keystone, glance, placement, nova, neutron]
    nics: [{network: mgmt}, {network: internal, address: 10.0.0.3}]
  two:
    roles: [gateway, cinder, tenant]
    disks: [size: 1 GiB]
    nics:
      [network: mgmt, {network: internal, address: 10.0.0.4}, {network: public, address: 172.16.0.4}, network: private]
  three:
    roles: [compute]
    nics: [{network: mgmt}, {network: internal, address: 10.0.0.5}, {network: private}]
  four:
    nics: [{network: mgmt}]
"""


def complaints(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        topology.loads(text, "my.yaml", also=fit.problems)
    return [line.removeprefix("my.yaml:") for line in caught.value.details.splitlines()]


def test_a_cloud_of_few_nodes_and_one_without_roles_fits():
    spec = topology.loads(LAB, "my.yaml", also=fit.problems)
    lab = plan(spec, IDENTITY, stage=INSTALLED)
    nested = {node.name: "qemu" for node in lab.nodes}
    assert plan_tasks(Cloud.of(lab, complete({}, lab), slow=True, nested=nested))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[compute]", "[compte]", '24: nodes.three.roles[0]: there is no role "compte"; did you mean "compute"?'),
        ("[compute]", "[compute, compute]", "24: nodes.three.roles[1]: the role compute is given twice"),
        (
            "[compute]",
            "[compute, rabbitmq]",
            "24: nodes.three.roles[1]: one has the role rabbitmq already; one node has it, and all others ask that one",
        ),
        (
            ", neutron]",
            "]",
            "19: nodes.two.roles[0]: gateway needs the role neutron, and no node has it\n"
            "19: nodes.two.roles[2]: tenant needs the role neutron, and no node has it\n"
            "24: nodes.three.roles[0]: compute needs the role neutron, and no node has it",
        ),
        (
            "{network: internal, address: 10.0.0.5}, ",
            "",
            "25: nodes.three.nics: the role compute needs a card with an address on internal, and there is none",
        ),
        (
            "{network: internal, address: 10.0.0.5}",
            "{network: internal}",
            "25: nodes.three.nics[1]: the role compute needs an address on internal, and the card has none",
        ),
        (
            "10.0.0.5}, {network: private}",
            "10.0.0.5}",
            "25: nodes.three.nics: the role compute needs a card on private, and there is none",
        ),
        (
            ", {network: public, address: 172.16.0.4}",
            "",
            "21: nodes.two.nics: the role gateway needs a card with an address on public, and there is none",
        ),
        (
            "    disks: [size: 1 GiB]\n",
            "",
            "19: nodes.two.roles[1]: the role cinder uses a data disk, and two has none; for instance "
            "disks: [size: 20 GiB]",
        ),
        (
            "    roles: [gateway, cinder, tenant]\n    disks: [size: 1 GiB]\n",
            "    roles: [gateway, cinder, cinder-volume, tenant]\n",
            "19: nodes.two.roles[2]: the role cinder-volume uses a data disk, and two has none; for instance "
            "disks: [size: 20 GiB]",
        ),
        (
            "[gateway, cinder, tenant]",
            "[gateway, cinder-volume, tenant]",
            "19: nodes.two.roles[1]: cinder-volume needs the role cinder, and no node has it",
        ),
        ("{demo:", "{dmo:", '13: openstack.passwords.dmo: nothing reads this password; did you mean "demo"?'),
        ("{demo:", "{heat:", "13: openstack.passwords.heat: it is heat's, and no node has this role"),
        (
            "{demo: secret}",
            "{rabbitmq: a/b}",
            "13: openstack.passwords.rabbitmq: rabbitmq cannot have this password: it may have no slash in it, and no "
            "blanks at its ends",
        ),
        (
            "{demo: secret}",
            '{"*": "p@ss"}',
            '13: openstack.passwords."*": keystone-db cannot have this password: it may have letters, digits and '
            "_ . ~ - alone; give it one of its own",
        ),
        (
            "{demo: secret}",
            "{demo: ''}",
            "13: openstack.passwords.demo: the password is empty; choose one, or remove the line",
        ),
        (
            "{demo: secret}",
            "{demo: é}",
            "13: openstack.passwords.demo: a password of the cloud is of ASCII's letters, digits, signs and blanks: "
            "its readers differ on others",
        ),
        (
            "[gateway, cinder, tenant]",
            "[gateway, cinder, tenant, swift, swift-storage]",
            "19: nodes.two.roles[4]: the role swift-storage uses a data disk, and the only one is for volumes; add "
            "one, size: 5 GiB",
        ),
        (
            "[compute]",
            "[compute, cinder-backup]",
            "24: nodes.three.roles[1]: the role cinder-backup reads volumes where they are: give it to the node with "
            "the role cinder",
        ),
        (
            "{demo: secret}",
            "{swift: a%b}",
            "13: openstack.passwords.swift: it is swift's, and no node has this role",
        ),
        (
            "  passwords:",
            "  medium: null\n  passwords:",
            "13: openstack.medium: the role tenant takes the image for instances from the install medium",
        ),
        (
            "10.99.0.0/22",
            "10.99.0.0/30",
            "12: openstack.tenant: 10.99.0.0/30 has no room for an instance; take a /29 or larger",
        ),
        (
            "10.99.0.0/22",
            "172.16.8.0/24",
            "12: openstack.tenant: 172.16.8.0/24 overlaps public's subnet 172.16.0.0/16: no router can be between them",
        ),
        (
            "172.16.0.4",
            "172.16.255.254",
            "22: nodes.two.nics[2].address: 172.16.255.254, the last of public, is its gateway's in the cloud; "
            "choose another",
        ),
        (
            "172.16.1.0/24",
            "172.16.255.1-172.16.255.254",
            "11: openstack.floating: 172.16.255.254, the last of public, is its gateway's in the cloud; end the range "
            "before it",
        ),
        (
            "172.16.1.0/24",
            "172.16.0.0-172.16.0.3",
            "11: openstack.floating: 172.16.0.0 is no node's: it is the subnet 172.16.0.0/16 itself, or all its nodes",
        ),
        (
            "172.16.1.0/24",
            "172.16.0.2-172.16.0.9",
            "11: openstack.floating: 172.16.0.4 is two's address; take a part without nodes",
        ),
        (
            "172.16.1.0/24",
            "172.17.0.2-172.17.0.9",
            "11: openstack.floating: 172.17.0.2-172.17.0.9 is not in public's subnet 172.16.0.0/16",
        ),
        (
            "172.16.1.0/24",
            "172.16.1.9-172.16.1.2",
            '11: openstack.floating: "172.16.1.9-172.16.1.2" ends before it begins; write 172.16.1.2-172.16.1.9',
        ),
        (
            "172.16.1.0/24",
            "172.16.1.9-20",
            '11: openstack.floating: "172.16.1.9-20" is not a range of IPv4 addresses like '
            '"192.168.182.200-192.168.182.220"',
        ),
        (
            "  tenant:",
            "  tunnel: gre\n  tenant:",
            "12: openstack.tunnel: gre goes through internal, and private is for VLANs; remove one of the two lines",
        ),
        (
            "  private: private\n",
            "  tunnel: vlan\n",
            '10: openstack.tunnel: VLANs are on the network "private", and there is none; add one, or write vxlan or '
            "gre",
        ),
        (
            "  tenant:",
            "  clock: tree\n  tenant:",
            '12: openstack.clock: there is no node "tree"; did you mean "three"?',
        ),
        (
            "  tenant:",
            "  clock: four\n  tenant:",
            "12: openstack.clock: four has no address on internal, where the others ask for the time",
        ),
    ],
)
def test_a_message_names_line_path_and_what_would_be_right(old: str, new: str, said: str):
    assert LAB.count(old) == 1
    assert complaints(LAB.replace(old, new)) == said.split("\n")


def test_a_cloud_without_roles_lacks_what_every_node_needs():
    text = "\n".join(line for line in LAB.splitlines() if "roles:" not in line and "passwords:" not in line)
    assert complaints(text) == [
        "7: openstack: the command-line client of every node needs the role keystone, and no node has it"
    ]


def test_nothing_is_said_to_be_missing_where_a_node_is_not_understood():
    assert complaints(
        LAB.replace("{network: internal, address: 10.0.0.3}", "{network: internal, address: 10.0.0}")
    ) == ['17: nodes.one.nics[1].address: "10.0.0" is not an IPv4 address like "10.0.0.3"']


def test_roles_that_exclude_each_other_cannot_be_on_one_node(monkeypatch: pytest.MonkeyPatch):
    steps: Callable[..., object] = ROLES["chrony"].steps
    lonely = Role(name="lonely", title="Alone", steps=steps, excludes=("compute",))  # type: ignore[arg-type]
    monkeypatch.setitem(ROLES._things, "lonely", lonely)
    apart = LAB.replace("  four:\n", "  four:\n    roles: [lonely]\n").replace(
        "    nics: [{network: mgmt}]", "    nics: [{network: mgmt}, {network: internal, address: 10.0.0.6}]"
    )
    topology.loads(apart, "my.yaml", also=fit.problems)
    assert complaints(LAB.replace("[compute]", "[compute, lonely]")) == [
        "24: nodes.three.roles[1]: lonely and compute cannot be on the same node"
    ]


def test_what_roles_say_of_others_are_roles():
    names = set(ROLES.names())
    for role in ROLES:
        assert {*role.needs, *role.after, *role.excludes} <= names
        assert set(role.networks) <= {"internal", "public", "private"}
        assert not set(role.needs) & set(role.after)


def test_no_two_roles_have_one_password():
    owners = [password.name for role in ROLES for password in role.passwords]
    assert len(owners) == len(set(owners))


def test_the_node_with_cinders_api_needs_no_disk_where_others_keep_volumes():
    text = LAB.replace("[gateway, cinder,", "[gateway, cinder-volume,").replace("[mariadb", "[cinder, mariadb")
    topology.loads(text, "my.yaml", also=fit.problems)
    beside = text.replace("[gateway, cinder-volume,", "[cinder-backup, gateway, cinder-volume,")
    topology.loads(beside, "my.yaml", also=fit.problems)
    (complaint,) = complaints(text.replace("[cinder, mariadb", "[cinder-backup, cinder, mariadb"))
    assert complaint.endswith("give it to the node with the role cinder-volume")


def test_a_lab_on_record_whose_roles_do_not_fit_is_not_installed():
    content = topology.load("gridka").document()
    content["nodes"]["volume-node"]["disks"] = []
    with pytest.raises(InputError, match="cannot do what their roles ask") as caught:
        fit.demand(topology.restore(content))
    assert caught.value.details.startswith("nodes.volume-node.roles[0]: the role cinder uses a data disk")


def test_a_lab_on_record_with_a_name_that_is_refused_today_can_still_be_planned():
    content = topology.load("mini").document()
    content["nodes"] = {"10": content["nodes"]["node-1"]}
    content["password"] = ""
    assert plan(topology.restore(content), IDENTITY).nodes[0].name == "10"
