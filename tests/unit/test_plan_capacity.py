"""What labs need, and when a host is too small."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labctl.errors import CapacityError
from labctl.plan.capacity import GIB, Capacity, judge, need
from labctl.plan.lab import plan
from labctl.plan.model import LabPlan
from labctl.spec import topology

LARGE = Capacity(memory=64 * 1024, cpus=16, vcpus=0, disk=500 * GIB, subnets=100)


def test_a_lab_needs_its_nodes_and_what_qemu_takes_for_them(gridka: LabPlan):
    kvm, tcg = need([gridka], "kvm"), need([gridka], "qemu")
    assert kvm.nodes == 8
    assert kvm.vcpus == 11
    assert kvm.memory == 27 * 512 + 8 * 80
    assert tcg.memory - kvm.memory == 8 * 96
    assert kvm.disk_worst == (8 * 12 + 20) * GIB + 8 * 1024**2
    assert kvm.disk < kvm.disk_worst
    assert kvm.subnets == 1


def test_gridka_fits_an_emulating_host_of_24_gib_with_room(gridka: LabPlan):
    installed = replace(gridka, stage="installed")
    assert need([gridka], "qemu").memory < need([installed], "qemu").memory < 20 * 1024


def test_installed_labs_need_more_disk(gridka: LabPlan):
    assert need([replace(gridka, stage="installed")], "kvm").disk > 4 * need([gridka], "kvm").disk / 2


def test_ten_teams_need_ten_times_as_much(gridka: LabPlan):
    one, ten = need([gridka], "kvm"), need([gridka] * 10, "kvm")
    assert (ten.memory, ten.vcpus, ten.disk, ten.subnets) == (one.memory * 10, one.vcpus * 10, one.disk * 10, 10)


def test_what_fits_is_accepted_without_remarks(gridka: LabPlan):
    assert judge(need([gridka], "kvm"), LARGE, overcommit=False) == ()


def test_disks_that_may_fill_up_are_remarked_on(gridka: LabPlan):
    [remark] = judge(need([gridka], "kvm"), replace(LARGE, disk=50 * GIB), overcommit=False)
    assert "116 GiB of 50 GiB" in remark


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"memory": 8 * 1024}, "too little memory: 14.1 GiB needed, 8 GiB available"),
        ({"disk": 2 * GIB}, "too little disk: 5.1 GiB needed, 2 GiB free in the pool"),
        (
            {"cpus": 1, "vcpus": 8},
            "too little processors: 11 virtual ones needed beside 8 of running domains, "
            "16 possible on 1 processors (16 on each)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_numbers_and_the_switch(gridka: LabPlan, changes, said):
    have = replace(LARGE, **changes)
    with pytest.raises(CapacityError) as caught:
        judge(need([gridka], "kvm"), have, overcommit=False)
    assert said in caught.value.details.splitlines()
    assert len(caught.value.details.splitlines()) == 3
    assert "--overcommit" in caught.value.remedy
    assert any(
        said.removeprefix("too little ") in remark for remark in judge(need([gridka], "kvm"), have, overcommit=True)
    )


def test_everything_that_is_short_is_said_at_once(gridka: LabPlan):
    with pytest.raises(CapacityError) as caught:
        judge(need([gridka] * 10, "kvm"), Capacity(memory=1, cpus=1, vcpus=0, disk=1), overcommit=False)
    assert caught.value.brief == "the host has not enough memory, disk, processors for 80 nodes"


def test_subnets_cannot_be_overcommitted(gridka: LabPlan):
    with pytest.raises(CapacityError) as caught:
        judge(need([gridka] * 3, "kvm"), replace(LARGE, subnets=2), overcommit=True)
    assert "3 management subnets needed, 2 free" in caught.value.details
    assert "--overcommit" not in caught.value.remedy


def test_a_mini_lab_fits_a_laptop(make_identity):
    mini = plan(topology.load("mini"), make_identity())
    assert judge(need([mini], "qemu"), Capacity(memory=2048, cpus=2, vcpus=0, disk=20 * GIB), overcommit=False) == ()
