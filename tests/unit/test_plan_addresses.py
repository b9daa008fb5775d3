"""Leases of management subnets."""

from __future__ import annotations

import pytest
from netaddr import IPNetwork

from labctl.errors import CapacityError, InputError
from labctl.plan.addresses import lease

POOL = IPNetwork("192.168.128.0/17")


def nets(*texts: str) -> list[IPNetwork]:
    return [IPNetwork(text) for text in texts]


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], "192.168.128.0/24"),
        (["192.168.128.0/24"], "192.168.129.0/24"),
        (["192.168.129.0/24"], "192.168.128.0/24"),
        (["192.168.128.0/24", "192.168.130.0/24"], "192.168.129.0/24"),
        (["192.168.128.77/32"], "192.168.129.0/24"),
        (["192.168.128.0/20"], "192.168.144.0/24"),
        (["192.168.128.0/20", "192.168.128.0/24"], "192.168.144.0/24"),
        (["10.0.0.0/8", "192.168.0.0/24"], "192.168.128.0/24"),
        (["fe80::/64", "::/0"], "192.168.128.0/24"),
    ],
)
def test_the_lowest_free_subnet_is_leased(taken, expected):
    assert lease(POOL, 24, nets(*taken)) == IPNetwork(expected)


def test_the_topologys_own_subnets_are_avoided():
    assert lease(POOL, 24, [], own=nets("192.168.128.0/23")) == IPNetwork("192.168.130.0/24")


def test_leases_do_not_overlap_until_the_pool_is_exhausted():
    taken: list[IPNetwork] = []
    for _ in range(128):
        taken.append(lease(POOL, 24, taken))
    assert len({str(network) for network in taken}) == 128
    assert all(network in POOL for network in taken)
    with pytest.raises(CapacityError) as caught:
        lease(POOL, 24, taken, own=nets("10.0.0.0/24"))
    assert "all 128 subnets /24 of 192.168.128.0/17" in caught.value.brief
    assert "128 networks of other labs" in caught.value.details
    assert "0 of the topology's own" in caught.value.details
    assert "mgmt.pool" in caught.value.remedy


def test_a_default_route_does_not_take_everything_but_a_covering_one_does():
    with pytest.raises(CapacityError):
        lease(POOL, 24, nets("192.168.0.0/16"))


def test_a_large_pool_is_searched_at_once():
    taken = nets("10.0.0.0/9", "10.128.0.0/10")
    assert lease(IPNetwork("10.0.0.0/8"), 28, taken) == IPNetwork("10.192.0.0/28")


def test_a_subnet_larger_than_the_pool_is_refused():
    with pytest.raises(InputError, match="/16 does not fit into the pool"):
        lease(POOL, 16, [])
