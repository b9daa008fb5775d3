"""Disks of instances in Ceph: a topology says so, and what goes with them follows; others are as they were."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from labctl.changes import Ini, Packages, PutFile, Run
from labctl.checks.check import Answer, Subject, chosen
from labctl.checks.model import Step, Verdict
from labctl.cloud.cloud import Cloud
from labctl.guest.fake import FakeGuest
from labctl.installing.tasks import plan_tasks
from labctl.roles import ceph, fit
from labctl.roles.role import ROLES
from labctl.sabotage.draw import applies
from labctl.sabotage.fault import FAULTS, Scene
from labctl.secret import reveal
from labctl.spec import topology
from tests.unit.test_ceph import files, steps
from tests.unit.test_roles import cloud, inis

CONF = "/etc/nova/nova-compute.conf"


def in_files() -> Cloud:
    """Return the cloud of the topology ceph with its disks in files of the compute nodes."""
    made = cloud("ceph")
    spec = made.spec.model_copy(update={"disks": "file"})
    return replace(made, spec=spec, lab=replace(made.lab, openstack=spec))


def test_nova_keeps_disks_in_a_pool_of_its_own_as_a_user_of_its_own() -> None:
    made = cloud("ceph")
    values = inis(made, "compute")[CONF]["libvirt"]
    assert (values["images_type"], values["images_rbd_pool"], values["rbd_user"]) == ("rbd", "vms", "nova")
    assert values["rbd_secret_uuid"] == ceph.secret_id(made, "nova") != ceph.secret_id(made, "cinder")
    found = files(steps(made, "compute", "compute1"))
    keyring = found["/etc/ceph/ceph.client.nova.keyring"]
    assert (keyring.owner, keyring.mode) == ("nova:nova", 0o600)
    monitors = files(steps(made, "ceph-mon", "storage"))
    assert found["/etc/ceph/ceph.conf"].content == monitors["/etc/ceph/ceph.conf"].content


def test_the_monitor_gives_novas_user_its_pool_and_a_look_at_images() -> None:
    found = steps(cloud("ceph"), "ceph-mon", "storage")
    text = reveal(files(found)["/var/lib/ceph/tmp/first.keyring"].content)
    assert 'caps osd = "profile rbd pool=vms, profile rbd-read-only pool=images"' in text.partition("[client.nova]")[2]
    made = [each.command for step in found for each in step.actions if isinstance(each, Run)]
    assert any(" osd pool create vms 8 " in each for each in made)


def test_libvirt_gets_the_keys_of_both_users_that_qemu_opens_disks_as() -> None:
    made = cloud("ceph")
    found = [each for step in steps(made, "compute", "compute2") for each in step.actions]
    keys = [each for each in found if isinstance(each, Run) and "secret-set-value" in each.command]
    assert [ceph.secret_id(made, user) in key.command for user, key in zip(("cinder", "nova"), keys, strict=True)]
    keyring = next(each for each in found if isinstance(each, PutFile) and each.path == ceph.keyring("nova"))
    assert reveal(keys[1].stdin) in reveal(keyring.content)
    defined = [each for each in found if isinstance(each, PutFile) and each.path.startswith("/etc/libvirt/ceph")]
    assert len({each.path for each in defined}) == 2


def test_nova_asks_ceph_by_its_own_commands() -> None:
    def packages(made: Cloud) -> set[str]:
        actions = [each for step in steps(made, "compute", "compute1") for each in step.actions]
        return {name for each in actions if isinstance(each, Packages) for name in each.names}

    assert packages(cloud("ceph")) - packages(in_files()) == {"ceph-common"}


def test_ceph_is_there_before_compute_nodes_ask_for_room_in_it() -> None:
    order = [task.role for task in plan_tasks(cloud("ceph"))]
    assert order.index("ceph-osd") < order.index("compute")
    assert "cinder" not in ROLES["ceph-osd"].needs  # a lab without volumes keeps the order, too
    assert "ceph-osd" in ROLES["compute"].after


@pytest.mark.parametrize("name", ["gridka", "allinone", "havana", "grizzly", "icehouse"])
def test_a_cloud_that_says_nothing_keeps_disks_in_files(name: str) -> None:
    made = cloud(name)
    assert not [key for key in inis(made, "compute")[CONF]["libvirt"] if "rbd" in key or key == "images_type"]
    actions = [each for task in plan_tasks(made) for step in task.steps for each in step.actions]
    assert not [each for each in actions if isinstance(each, PutFile) and "nova.keyring" in each.path]
    assert not [each for each in actions if isinstance(each, Run) and " create vms " in each.command]
    assert "disks" not in topology.load(name).document()["openstack"]  # so that its digest is what it was


def test_disks_in_ceph_need_the_role_ceph_mon() -> None:
    text = topology.load("allinone").document()
    text["openstack"]["disks"] = "ceph"
    (problem,) = fit.problems(topology.restore(text))
    assert problem.location == ("openstack", "disks")
    assert "no node has the role ceph-mon" in problem.message


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("works", [True, False])
def test_after_a_reset_instances_with_disks_in_ceph_are_started_again_and_others_deleted(
    stored: bool, works: bool, tmp_path: Path
) -> None:
    made = cloud("ceph") if stored else in_files()
    (conf,) = (
        each
        for step in steps(made, "compute", "compute1")
        for each in step.actions
        if isinstance(each, Ini) and each.path == CONF
    )
    written = "".join(f"{option} = {value}\n" for option, value in conf.values["libvirt"].items())
    asked, program, file = tmp_path / "asked", tmp_path / "openstack", tmp_path / "nova-compute.conf"
    file.write_text(f"[libvirt]\n{written}")
    other = "true" if works else "false"
    program.write_text(f'#!/bin/sh\necho "$@" >>{asked}\ncase $2 in list) echo one; echo two;; *) {other};; esac\n')
    program.chmod(0o755)
    line = f"set -e; {ROLES['compute'].clean.strip()}".replace(CONF, str(file))
    done = subprocess.run(["sh", "-c", line], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert (done.returncode == 0) == works
    listed, *others = asked.read_text().splitlines()
    assert ("--status ACTIVE" in listed) == stored  # whoever was off is started when somebody wants it
    again = ["server reboot --hard --wait one", *(["server reboot --hard --wait two"] if works else [])]
    assert others == (again if stored else ["server delete --wait one two"])


GOOD = "open\nnetwork   disk     vda      vms/0815_disk\nnetwork   disk     vdb      volumes/volume-4711\n"


@pytest.mark.parametrize(
    ("said", "step", "says"),
    [
        (GOOD, "", ""),
        ("open\n", "", ""),
        (GOOD.replace("open\n", ""), "pool", "cannot look into the pool vms"),
        (
            GOOD + "file      disk     vda      /var/lib/nova/instances/42/disk\n",
            "disks",
            "/var/lib/nova/instances/42/disk of the node",
        ),
        (GOOD + "file      cdrom    sda      /var/lib/nova/instances/42/disk.config\n", "", ""),
    ],
)
def test_a_compute_node_tells_where_the_disks_of_its_instances_are(said: str, step: str, says: str) -> None:
    found = [each for each in judge(cloud("ceph"), said) if each.verdict is not Verdict.PASS]
    assert [(each.name, each.node) for each in found] == ([(step, "compute2")] if step else [])
    assert says in (found[0].evidence if found else "")


def test_where_disks_are_files_nobody_looks_for_them_in_ceph() -> None:
    (only,) = judge(in_files(), "")
    assert only.verdict is Verdict.SKIPPED


def judge(made: Cloud, said: str) -> list[Step]:
    """Return what the check says when compute2 says this, and compute1 that all is well."""
    name = "C29:disks"
    texts = {"compute1": GOOD, "compute2": said}
    answers = {(each.name, name): Answer(text=texts.get(each.name, ""), seconds=0.1, at=0.0) for each in made.lab.nodes}
    check = next(each for each in chosen("installed", (name,)) if each.name == name)
    subject = Subject(lab=made.lab, virt="kvm", guest=lambda each: FakeGuest(name=each), answers=answers)
    return list(check.steps(subject))


def test_a_fault_of_the_way_to_ceph_is_for_labs_whose_disks_are_there() -> None:
    assert applies(FAULTS["CE-03"], Scene(lab=cloud("ceph").lab))
    assert not applies(FAULTS["CE-03"], Scene(lab=in_files().lab))
    drawn = FAULTS["CE-03"].draw(Scene(lab=cloud("ceph").lab, only=frozenset({"compute secret"})), Random(0))
    assert drawn.breaks[0].restart == ("nova-compute",)
