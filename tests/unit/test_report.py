"""Tables and documents: nothing of a lab is left out of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.report import topologies, views
from labctl.spec import topology
from tests.unit.fake_site import World

TWO_CARDS = """\
name: many
networks: {mgmt: {kind: nat}, inner: {subnet: 10.1.0.0/16, names: short}, free: {}}
nodes:
  r1:
    nics:
      - {network: free}
      - {network: inner}
      - {network: inner, address: 10.1.0.1}
      - {network: inner, address: 10.1.0.2}
      - {network: mgmt}
      - {network: free}
"""


@pytest.fixture
def two_cards(tmp_path: Path) -> str:
    path = tmp_path / "many.yaml"
    path.write_text(TWO_CARDS)
    return str(path)


def test_status_shows_every_card_on_a_network(world: World, two_cards: str):
    world.create("team", named=two_cards)
    status = world.status("team")
    assert "10.1.0.1 10.1.0.2" in views.lab_table(status)
    (node,) = views.lab_document(status)["nodes"]
    assert node["addresses"]["inner"] == "10.1.0.1"
    assert node["all_addresses"]["inner"] == ["10.1.0.1", "10.1.0.2"]


def test_a_topologys_picture_shows_every_card_on_a_network(two_cards: str):
    text = topologies.picture(topology.load(two_cards))
    assert "eth1, eth2 10.1.0.1, eth3 10.1.0.2" in text
    assert "eth0, eth5" in text
