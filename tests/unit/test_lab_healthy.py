"""What a healthy lab is known by goes with it: into golden sets and snapshots, forks, and back."""

from __future__ import annotations

import pytest

from labctl.checks.canary import Canary
from labctl.checks.model import Report, Result, Verdict
from labctl.errors import LabctlError
from labctl.lab import healthy
from tests.unit.fake_site import World

CANARY = Canary(server="s", volume="v", address="172.16.1.9", host_key="ssh-ed25519 AAAA", marker="m")


def green(seconds: float) -> Report:
    result = Result(id="B01", verdict=Verdict.PASS, steps=(), seconds=seconds, limit=30)
    return Report(
        run="r", lab="red", topology="mini", mode="full", started="", seconds=1, results=(result,), frontier=()
    )


@pytest.fixture
def known(world: World) -> World:
    """Return an installation with a lab that has a canary and healthy times, and was captured."""
    world.create("red")
    healthy.remember(world.home.lab("red"), CANARY)
    healthy.learn(world.home.lab("red"), green(3.0))
    world.capture("red")
    return world


def test_a_fork_has_the_canary_and_the_times_of_the_lab_that_was_captured(known: World) -> None:
    known.create("green")
    folder = known.home.lab("green")
    assert healthy.canary(folder) == CANARY
    assert healthy.times(folder) == {"B01": [3.0]}


def test_a_lab_that_is_reset_as_a_whole_has_no_canary_that_came_later(world: World) -> None:
    world.create("red")
    world.capture("red")
    world.create("green")
    healthy.remember(world.home.lab("green"), CANARY)
    world.reset("green", "node-1")
    assert healthy.canary(world.home.lab("green")) == CANARY
    world.reset("green")
    assert healthy.canary(world.home.lab("green")) is None


def test_a_lab_that_goes_back_to_a_snapshot_has_the_canary_of_that_time(world: World) -> None:
    world.create("red")
    healthy.remember(world.home.lab("red"), CANARY)
    world.snapshot("red", "before")
    world.home.lab("red").remove_file(healthy.CANARY)
    world.restore("red", "before")
    assert healthy.canary(world.home.lab("red")) == CANARY


def test_a_record_that_labctl_did_not_write_is_told(world: World) -> None:
    world.create("red")
    world.home.lab("red").write(healthy.CANARY, '{"server": 1}')
    with pytest.raises(LabctlError, match=r"canary\.json is damaged"):
        healthy.canary(world.home.lab("red"))
