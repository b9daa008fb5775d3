"""Labs that are made together: no two of them want the same name on the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.errors import InputError
from labctl.plan import names
from labctl.plan.lab import plan
from labctl.plan.model import LabPlan
from labctl.spec import topology
from tests.unit.fake_site import World
from tests.unit.test_cli import labctl

COLLIDING = """\
name: coll
networks: {mgmt: {kind: nat}, web-mgmt: {}}
nodes:
  node: {nics: [network: mgmt]}
  web-node: {disks: [size: 1 GiB], nics: [network: mgmt]}
  vdb: {nics: [network: mgmt]}
"""


def labs(make_identity, *teams: str) -> list[LabPlan]:
    spec = topology.loads(COLLIDING, "coll.yaml")
    return [plan(spec, make_identity(team, lab=number)) for number, team in enumerate(teams)]


def test_team_and_node_that_join_to_one_name_are_refused(make_identity):
    with pytest.raises(InputError, match="objects of the same name") as caught:
        names.refuse_shared(labs(make_identity, "lab", "lab-web"))
    assert "lab and lab-web would both have the domain lab-web-node" in caught.value.details
    assert "lab and lab-web would both have the network lab-web-mgmt" in caught.value.details
    assert "lab and lab-web would both have the volume lab-web-node-seed.iso" in caught.value.details


def test_a_data_disk_and_a_node_of_another_team_that_join_to_one_name_are_refused(make_identity):
    with pytest.raises(InputError) as caught:
        names.refuse_shared(labs(make_identity, "lab", "lab-web-node"))
    assert caught.value.details == "lab and lab-web-node would both have the volume lab-web-node-vdb.qcow2"


def test_teams_of_one_range_do_not_collide(make_identity):
    names.refuse_shared(labs(make_identity, *(f"team{number:02}" for number in range(1, 11))))


@pytest.fixture
def colliding(tmp_path: Path) -> str:
    path = tmp_path / "coll.yaml"
    path.write_text(COLLIDING)
    return str(path)


def test_plan_says_so(tmp_path: Path, colliding: str):
    done = labctl(tmp_path / "home", "plan", "lab", "lab-web", "--topology", colliding)
    assert done.returncode == 2
    assert "lab and lab-web would both have the domain lab-web-node" in done.stderr


def test_create_refuses_before_anything_is_made(world: World, colliding: str):
    with pytest.raises(InputError, match="objects of the same name"):
        world.create("lab", "lab-web", named=colliding)
    assert list(world.home.records()) == []
    assert not world.site().domains
    world.create("lab", "team", named=colliding)
