"""How two topologies differ, in sentences."""

from __future__ import annotations

import pytest

from labctl.plan.diff import differences
from labctl.spec import topology

MINI = topology.template("mini")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("memory: 512 MiB", "memory: 2 GiB", ["node-1: memory 512 MiB → 2 GiB", "node-2: memory 512 MiB → 2 GiB"]),
        ("172.16.0.4", "172.16.0.9", ["node-2: eth2: address 172.16.0.4 → 172.16.0.9"]),
        ("      - {network: public, address: 172.16.0.4}\n", "", ["node-2: eth2 removed"]),
        ("network: public, address: 172.16.0.4", "network: internal", [
            "node-2: eth2: network public → internal", "node-2: eth2: address 172.16.0.4 → none",
        ]),
        ("  node-2:\n", "  other:\n", ["node other added", "node node-2 removed"]),
        ("  node-2:\n", "  node-2:\n    disks: [{size: 1 GiB}]\n", ["node-2: disk vdb added"]),
        ("  node-2:\n", "  node-2:\n    vcpus: 2\n    disk: 5 GiB\n", [
            "node-2: virtual processors 1 → 2", "node-2: system disk 4 GiB → 5 GiB",
        ]),
        ("networks:\n", "networks:\n  more: {}\n", ["network more added"]),
        ("    names: full", "    names: none", ["network public: names in /etc/hosts full → none"]),
        ("domain: example.org", "domain: example.net", ["domain: example.org → example.net"]),
        ("domain:", "password: hidden\ndomain:", ["password: added"]),
        ("name: mini\ndescription: Two", "name: mini\ndescription: Three", []),
    ],
)  # fmt: skip
def test_each_difference_is_a_sentence(old, new, said):
    assert MINI.count(old) == 1
    changed = topology.loads(MINI.replace(old, new), "f")
    assert differences(topology.load("mini").document(), changed.document()) == said


def test_a_changed_order_is_a_difference():
    at = MINI.index("  node-1:"), MINI.index("  node-2:")
    swapped = MINI[: at[0]] + MINI[at[1] :] + MINI[at[0] : at[1]]
    [said] = differences(topology.load("mini").document(), topology.loads(swapped, "f").document())
    assert "order" in said


def test_a_changed_password_is_not_shown():
    before, after = (
        topology.loads(MINI.replace("domain:", f"password: {word}\ndomain:"), "f").document() for word in ("one", "two")
    )
    assert differences(before, after) == ["password: changed"]


def test_there_is_a_sentence_whenever_the_digests_differ():
    shipped = [topology.load(name) for name in topology.shipped()]
    for one in shipped:
        for other in shipped:
            assert bool(differences(one.document(), other.document())) == (one.digest != other.digest)
