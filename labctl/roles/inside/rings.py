"""Makes Swift's rings: where each part of accounts, containers and objects lies; runs in a node, with Swift's own code.

The same input gives the same bytes on every node, so nobody has to copy them.
"""

from __future__ import annotations

import os
from typing import Any


def main(data: dict[str, Any]) -> None:
    """Make the three rings, and keep the builders for people who change them.

    Args:
        data: `ports` by ring, `devices` (zone, ip, replication_ip, device), `power`, `replicas`, `seed`.
    """
    from swift.common.ring import RingBuilder  # type: ignore[import-not-found,unused-ignore]  # the node's

    os.chdir("/etc/swift")
    for name, port in data["ports"].items():
        builder = RingBuilder(data["power"], data["replicas"], 1)
        for device in data["devices"]:
            builder.add_dev(
                {"region": 1, "port": port, "replication_port": port, "weight": 100.0, "meta": "", **device}
            )
        builder.rebalance(seed=data["seed"])
        builder.validate()
        builder.get_ring().save(f"{name}.ring.gz")
        builder.save(f"{name}.builder")
        print(f"made ring {name}: {len(data['devices'])} devices", flush=True)  # noqa: T201 - the answer
