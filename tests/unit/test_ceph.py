"""Ceph: keys that are known before there is a cluster, OSDs on the disks that are left, and what the checks say."""

from __future__ import annotations

import base64
import struct
from dataclasses import replace
from random import Random

import pytest

from labctl.changes import Packages, PutFile, Run, Unit, Wait
from labctl.checks.check import Answer, Subject, chosen
from labctl.checks.model import Step, Verdict
from labctl.cloud.cloud import Cloud
from labctl.guest.fake import FakeGuest
from labctl.installing.tasks import plan_tasks
from labctl.roles import ceph, fit
from labctl.roles.role import Step as Done
from labctl.roles.role import units
from labctl.sabotage import draw
from labctl.sabotage.fault import FAULTS, Scene
from labctl.secret import reveal
from labctl.spec import topology
from tests.unit.test_roles import cloud, inis


def steps(made: Cloud, role: str, node: str) -> list[Done]:
    return [step for task in plan_tasks(made, only=role) for step in task.steps if step.node == node]


def files(found: list[Done]) -> dict[str, PutFile]:
    return {each.path: each for step in found for each in step.actions if isinstance(each, PutFile)}


def test_osds_are_on_the_disks_that_no_volume_group_takes_and_numbered_alike_everywhere() -> None:
    made = cloud("icehouse")
    every = [(each.number, each.node, each.device) for each in ceph.osds(made)]
    assert every == [(0, "osceph0", "vdc"), (1, "osceph1", "vdb"), (2, "osceph2", "vdb")]
    numbered = [each for step in steps(made, "ceph-mon", "osceph0") for each in step.actions if isinstance(each, Run)]
    new = [each.command for each in numbered if " osd new " in each.command]
    assert len(new) == 3
    for number, node in enumerate(("osceph0", "osceph1", "osceph2")):
        made_of = [each for step in steps(made, "ceph-osd", node) for each in step.actions]
        (mkfs,) = (each.command for each in made_of if isinstance(each, Run) and "--mkfs" in each.command)
        assert new[number].split()[5] in mkfs  # the UUID by which the monitor knows it
        assert f"-i {number} " in mkfs
        assert [each.names for each in made_of if isinstance(each, Unit)] == [(f"ceph-osd@{number}", "ceph-osd.target")]


def test_keys_and_the_clusters_own_id_are_those_of_the_labs_secret_so_forks_share_them() -> None:
    one, fork, other = cloud("icehouse", ceph="word"), cloud("icehouse", ceph="word"), cloud("icehouse", ceph="more")

    def found(made: Cloud) -> tuple[str, str]:
        path = files(steps(made, "ceph-mon", "osceph0"))
        keyring = reveal(path["/etc/ceph/ceph.client.admin.keyring"].content)
        return keyring, str(path["/etc/ceph/ceph.conf"].content)

    assert found(one) == found(fork)
    assert found(one)[0] != found(other)[0]
    assert found(one)[1] != found(other)[1]  # another fsid
    raw = base64.b64decode(found(one)[0].split("key = ")[1].split()[0])
    kind, _, _, length = struct.unpack("<HIIH", raw[:12])
    assert (kind, length, len(raw)) == (1, 16, 28)


def test_the_monitor_knows_every_users_key_from_the_beginning() -> None:
    first = files(steps(cloud("icehouse"), "ceph-mon", "osceph0"))["/var/lib/ceph/tmp/first.keyring"]
    text = reveal(first.content)
    assert [line for line in text.splitlines() if line.startswith("[")] == [
        *("[mon.]", "[client.admin]", "[mgr.osceph0]", "[client.cinder]", "[client.glance]")
    ]
    assert 'caps osd = "profile rbd pool=volumes, profile rbd-read-only pool=images"' in text
    assert (first.owner, first.mode) == ("ceph:ceph", 0o600)


def test_three_copies_are_on_three_nodes_and_fewer_where_there_are_fewer() -> None:
    conf = str(files(steps(cloud("icehouse"), "ceph-osd", "osceph1"))["/etc/ceph/ceph.conf"].content)
    assert "osd_pool_default_size = 3\n" in conf
    assert "osd_pool_default_min_size = 2\n" in conf
    assert "osd_crush_chooseleaf_type = 1\n" in conf
    made = cloud("icehouse")
    lab = replace(made.lab, nodes=tuple(node for node in made.lab.nodes if node.name not in ("osceph1", "osceph2")))
    conf = str(files(steps(replace(made, lab=lab), "ceph-osd", "osceph0"))["/etc/ceph/ceph.conf"].content)
    assert "osd_pool_default_size = 1\n" in conf


def test_a_boot_starts_the_daemons_whose_target_is_enabled_with_them() -> None:
    found = units(cloud("ceph"))["storage"]
    for kind in ("mon", "mgr", "osd", "radosgw"):
        assert any(name.startswith(f"ceph-{kind}@") for name in found)
        assert f"ceph-{kind}.target" in found  # the daemons are wanted by it alone, and the image enables no unit


def test_what_needs_the_nodes_disks_waits_for_the_boot() -> None:
    made = cloud("icehouse")
    assert not any(step.live for step in steps(made, "ceph-mon", "osceph0"))
    (ready, disks) = steps(made, "ceph-osd", "osceph2")
    assert (ready.live, disks.live) == (False, True)
    waits = [each for task in plan_tasks(made, only="ceph-osd") for each in task.steps if each.node == "osceph0"]
    assert any(isinstance(action, Wait) and "osd.2 up" in action.until for step in waits for action in step.actions)


def test_cinder_has_a_second_back_end_and_libvirt_its_key_where_there_is_ceph() -> None:
    made = cloud("icehouse")
    values = inis(made, "cinder-volume")["/etc/cinder/cinder.conf"]
    assert values["DEFAULT"]["enabled_backends"] == "lvm,ceph"
    assert values["ceph"]["rbd_secret_uuid"] == ceph.secret_id(made, "cinder")
    keyring = files(steps(made, "cinder-volume", "osceph0"))["/etc/ceph/ceph.client.cinder.keyring"]
    assert (keyring.owner, keyring.mode) == ("cinder:cinder", 0o600)
    found = steps(made, "compute", "oscompute2")
    (secret,) = (
        each for step in found for each in step.actions if isinstance(each, Run) and "secret-set-value" in each.command
    )
    assert ceph.secret_id(made, "cinder") in secret.command
    assert reveal(secret.stdin) in reveal(keyring.content)
    image = inis(made, "glance")["/etc/glance/glance-api.conf"]
    assert image["DEFAULT"]["enabled_backends"] == "local:file,rbd:rbd"
    assert image["glance_store"]["default_backend"] == "local"
    assert (image["rbd"]["rbd_store_pool"], image["rbd"]["rbd_store_user"]) == ("images", "glance")
    order = [task.role for task in plan_tasks(made)]
    assert order.index("ceph-osd") < order.index("glance")
    assert order.index("ceph-mon") < order.index("ceph-osd") < order.index("cinder") < order.index("compute")


@pytest.mark.parametrize("name", ["gridka", "allinone", "havana", "grizzly"])
def test_a_cloud_without_ceph_has_nothing_of_it(name: str) -> None:
    made = cloud(name)
    assert inis(made, "cinder")["/etc/cinder/cinder.conf"]["DEFAULT"]["enabled_backends"] == "lvm"
    image = inis(made, "glance")["/etc/glance/glance-api.conf"]
    assert image["DEFAULT"] == {"enabled_backends": "local:file", "workers": 0}
    for task in plan_tasks(made):
        for step in task.steps:
            for each in step.actions:
                assert not (isinstance(each, Packages) and "ceph" in " ".join(each.names))
                assert not (isinstance(each, PutFile) and "ceph" in each.path)


def test_an_osd_needs_a_disk_that_is_not_for_volumes() -> None:
    text = topology.load("icehouse").document()
    text["nodes"]["osceph0"]["disks"] = text["nodes"]["osceph0"]["disks"][:1]
    text["nodes"]["osceph1"]["disks"] = []
    found = {each.location[1]: each.message for each in fit.problems(topology.restore(text))}
    assert "osceph0 has one, which is for volumes" in found["osceph0"]
    assert "osceph1 has none" in found["osceph1"]
    for node in text["nodes"].values():
        node["roles"] = [name for name in node["roles"] if name != "ceph-osd"]
    (problem,) = fit.problems(topology.restore(text))
    assert "no node has the role ceph-osd" in problem.message


def test_an_osd_is_stopped_where_copies_are_left() -> None:
    lab = cloud("icehouse").lab
    assert draw.applies(FAULTS["CE-01"], Scene(lab=lab))
    few = replace(lab, nodes=tuple(node for node in lab.nodes if node.name not in ("osceph1", "osceph2")))
    assert not draw.applies(FAULTS["CE-01"], Scene(lab=few))


def test_a_wrong_address_of_the_monitor_reddens_the_clusters_check_where_the_file_is_the_monitors_too() -> None:
    lab = cloud("icehouse").lab
    narrow = Scene(lab=lab, only=frozenset({"cinder elsewhere"}))
    assert FAULTS["CE-02"].draw(narrow, Random(0)).red == ("C29:cluster", "C29:volume")
    apart = tuple(replace(n, roles=tuple(r for r in n.roles if r != "ceph-mon")) for n in lab.nodes)
    apart = tuple(replace(n, roles=(*n.roles, "ceph-mon")) if n.name == "osceph1" else n for n in apart)
    narrow = replace(narrow, lab=replace(lab, nodes=apart))
    assert FAULTS["CE-02"].draw(narrow, Random(0)).red == ("C29:volume",)


GOOD = "HEALTH_OK (muted: MGR_MODULE_DEPENDENCY)\n" + "\n".join(
    f"osd.{number} up   in  weight 1" for number in range(3)
)


@pytest.mark.parametrize(
    ("said", "step", "node", "says"),
    [
        (GOOD, "", "", ""),
        (GOOD.replace("osd.1 up", "osd.1 down"), "osd.1", "osceph1", "osd.1 is down and in"),
        (GOOD.replace("osd.2 up   in  weight 1", ""), "osd.2", "osceph2", "osd.2 is unknown"),
        (GOOD.replace("HEALTH_OK", "HEALTH_WARN Degraded"), "health", "osceph0", "HEALTH_WARN Degraded"),
        ("", "monitor", "osceph0", "does not answer"),
    ],
)
def test_what_the_monitor_says_is_judged(said: str, step: str, node: str, says: str) -> None:
    lab = cloud("icehouse").lab
    name = "C29:cluster"
    answers = {("osceph0", name): Answer(text=said, seconds=1.0, at=0.0)}
    answers |= {(each.name, name): Answer(text="", seconds=0.1, at=0.0) for each in lab.nodes if each.name != "osceph0"}
    (check,) = chosen("installed", (name,))
    subject = Subject(lab=lab, virt="kvm", guest=lambda each: FakeGuest(name=each), answers=answers)
    first: Step | None = next((each for each in check.steps(subject) if each.verdict is not Verdict.PASS), None)
    assert (first.name if first else "", first.node if first else "") == (step, node)
    assert says in (first.evidence if first else "")
